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

/* The steps that maps.h names. */
#define NO_STEP(name) \
  SEC("tc") \
  int name(struct __sk_buff *context) { return context ? TC_ACT_SHOT : TC_ACT_OK; }
NO_STEP(tc_rare)
NO_STEP(tc_icmp)
NO_STEP(tc_fragment)
NO_STEP(tc_tell)
NO_STEP(tc_cut)
NO_STEP(tc_begun)

char licence[] SEC("license") = "GPL";
