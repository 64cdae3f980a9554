/* What takes the frames of `make bench-vm` off the server's interface. `drop` is what costs as little as anything can; `check` runs before
 * anything is counted, and tells whether a frame is what the path had to make of it: for this host, this address and port, with valid checksums. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct frame {
  struct ethhdr ethernet;
  struct iphdr ip;
  struct udphdr udp;
  __u16 payload[9]; /* of a frame of 60 bytes, without its check sequence */
} __attribute__((packed));

struct expectation {
  __u16 mac[ETH_ALEN / 2];
  __be16 port;
  __be32 address;
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

static __always_inline int is_ours(void *data, void *end) {
  struct frame *frame = data;
  return (void *)(frame + 1) <= end && frame->ethernet.h_proto == bpf_htons(ETH_P_IP) && frame->ip.protocol == IPPROTO_UDP;
}

static __always_inline int is_right(const struct frame *frame) {
  __u32 zero = 0;
  const struct expectation *want = bpf_map_lookup_elem(&expected, &zero);
  if (!want) return 0;
  __u32 udp_length = sizeof(struct udphdr) + sizeof(frame->payload);
  __u32 udp = sum(&frame->ip.saddr, 4) + bpf_htons(IPPROTO_UDP) + bpf_htons(udp_length) + sum(&frame->udp, udp_length / 2);
  const __u16 *mac = (const void *)frame;
  return mac[0] == want->mac[0] && mac[1] == want->mac[1] && mac[2] == want->mac[2] && frame->ip.daddr == want->address &&
         frame->udp.dest == want->port && folds_to_zero(sum(&frame->ip, 10)) && folds_to_zero(udp);
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
  void *data = (void *)(long)skb->data;
  if (!is_ours(data, (void *)(long)skb->data_end)) return TC_ACT_OK;
  count(is_right(data) ? RIGHT : WRONG);
  return TC_ACT_SHOT;
}

SEC("xdp") int check_xdp(struct xdp_md *xdp) {
  void *data = (void *)(long)xdp->data;
  if (!is_ours(data, (void *)(long)xdp->data_end)) return XDP_PASS;
  count(is_right(data) ? RIGHT : WRONG);
  return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
