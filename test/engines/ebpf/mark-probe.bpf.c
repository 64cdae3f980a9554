/* Asks for the mark of a packet that is described: the frame holds the question, and the answer afterwards. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include "marks.h"

struct probe {
  u8 ethernet[14];
  u8 spare[2];
  u32 mark;
  u32 interface;
  struct packet packet;
};

SEC("tc")
int mark_probe(struct __sk_buff *context) {
  struct probe *probe = (void *)(long)context->data;
  if ((void *)(probe + 1) > (void *)(long)context->data_end) return TC_ACT_SHOT;
  struct packet packet = probe->packet;
  probe->mark = walk_mark_rules(&packet, probe->interface);
  return TC_ACT_OK;
}

char licence[] SEC("license") = "GPL";
