/* Asks the schedulers for one destination: the packet holds the question, and the answer afterwards. Counts the answers when it is told to. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include "schedulers.h"

struct probe {
  u8 ethernet[14];
  u8 spare[2];
  u32 service;
  u32 slot;
  u32 counted;
  struct client client;
};

/* Answers of each slot. */
ARRAY_OF(answers, u64, 1);

SEC("tc")
int scheduler_probe(struct __sk_buff *packet) {
  struct probe *probe = (void *)(long)packet->data;
  if ((void *)(probe + 1) > (void *)(long)packet->data_end) return TC_ACT_SHOT;
  struct client client = probe->client;
  u32 slot = schedule(probe->service, &client);
  probe->slot = slot;
  u64 *answer = probe->counted ? bpf_map_lookup_elem(&answers, &slot) : NULL;
  if (answer) __sync_fetch_and_add(answer, 1);
  return TC_ACT_OK;
}

char licence[] SEC("license") = "GPL";
