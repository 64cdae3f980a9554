/* What takes the frames of `make bench-vm` off the server's interface. `drop` is what costs as little as anything can; `check` runs before
 * anything is counted, and tells whether a frame is what the path had to make of it: for this host, this address and port, with valid checksums. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "frame.h"

struct expectation {
  __u16 mac[ETH_ALEN / 2];
  __be16 port;
  __be32 address;
  __u8 protocol;
  __u8 spare[3];
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct expectation);
} expected SEC(".maps");

enum { RIGHT, WRONG, DROPPED, OUTCOMES };

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, OUTCOMES);
  __type(key, __u32);
  __type(value, __u64);
} arrived SEC(".maps");

static __always_inline __u32 sum(const void *bytes, int words) {
  const __u16 *word = bytes;
  __u32 total = 0;
#pragma unroll
  for (int i = 0; i < words; i++) total += word[i];
  return total;
}

static __always_inline int folds_to_zero(__u32 total) {
  total = (total & 0xffff) + (total >> 16);
  total = (total & 0xffff) + (total >> 16);
  return total == 0xffff;
}

/* Linux has cut off what is behind a packet in its frame, XDP has not. */
#define TCP_BYTES 20
#define UDP_BYTES 26

static __always_inline int is_ours(void *data, void *end) {
  struct frame *frame = data;
  if ((void *)&frame->source + TCP_BYTES > end || frame->ethernet.h_proto != bpf_htons(ETH_P_IP)) return 0;
  if (frame->ip.protocol == IPPROTO_TCP) return 1;
  return frame->ip.protocol == IPPROTO_UDP;
}

static __always_inline __u32 transport_sum(const struct frame *frame, const void *end) {
  __u32 pseudo = sum(&frame->ip.saddr, 4) + bpf_htons(frame->ip.protocol);
  if (frame->ip.protocol == IPPROTO_TCP) return pseudo + bpf_htons(TCP_BYTES) + sum(&frame->source, TCP_BYTES / 2);
  if ((void *)&frame->source + UDP_BYTES > end) return 0;
  return pseudo + bpf_htons(UDP_BYTES) + sum(&frame->source, UDP_BYTES / 2);
}

static __always_inline int is_right(const struct frame *frame, const void *end) {
  __u32 zero = 0;
  const struct expectation *want = bpf_map_lookup_elem(&expected, &zero);
  const __u16 *mac = (const void *)frame;
  return want && mac[0] == want->mac[0] && mac[1] == want->mac[1] && mac[2] == want->mac[2] && frame->ip.protocol == want->protocol &&
         frame->ip.daddr == want->address && frame->destination == want->port && folds_to_zero(sum(&frame->ip, 10)) &&
         folds_to_zero(transport_sum(frame, end));
}

static __always_inline void count(__u32 outcome) {
  __u64 *counter = bpf_map_lookup_elem(&arrived, &outcome);
  /* one processor */
  if (counter) *counter += 1;
}

SEC("tc") int drop_tc(struct __sk_buff *skb) {
  if (!is_ours((void *)(long)skb->data, (void *)(long)skb->data_end)) return TC_ACT_OK;
  count(DROPPED);
  return TC_ACT_SHOT;
}

SEC("xdp") int drop_xdp(struct xdp_md *xdp) {
  if (!is_ours((void *)(long)xdp->data, (void *)(long)xdp->data_end)) return XDP_PASS;
  count(DROPPED);
  return XDP_DROP;
}

SEC("tc") int check_tc(struct __sk_buff *skb) {
  void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
  if (!is_ours(data, end)) return TC_ACT_OK;
  count(is_right(data, end) ? RIGHT : WRONG);
  return TC_ACT_SHOT;
}

SEC("xdp") int check_xdp(struct xdp_md *xdp) {
  void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
  if (!is_ours(data, end)) return XDP_PASS;
  count(is_right(data, end) ? RIGHT : WRONG);
  return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
