/* Around a program under test, in BPF_PROG_TEST_RUN: it makes the packet anew for each run, of one client after the other or of any one, and
 * tail-calls the program. What the harness itself takes is measured with a target that does nothing. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PORTS 15 /* bits of a client's number that are in its port, the others in its address */
#define STEPS 4

#define FRAME 60

/* One packet of a flow. TCP's urgent pointer, a word of UDP's data: it goes down where address and port go up, so that the checksum stays;
 * so does the IP header's id. */
struct step {
  __u8 frame[FRAME]; /* of the first client */
  __u32 is_reply;
};

struct plan {
  struct step steps[STEPS];
  __u32 count;  /* of steps */
  __u32 mask;   /* clients - 1 */
  __u32 random; /* any client, the first step; else each client's steps, one client after the other */
  __u32 next;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct plan);
} plan SEC(".maps");

#define TARGETS(name) \
  struct { \
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY); \
    __uint(max_entries, 1); \
    __type(key, __u32); \
    __type(value, __u32); \
  } name SEC(".maps")
TARGETS(xdp_target);
TARGETS(tc_target);

/* Written in the pieces in which directors read: a load of what was just written in several has to wait for all of them, which no packet
 * of a network card's does. */
static __always_inline void write_packet(void *to, const struct step *step, __u32 address, __u32 port) {
  const void *from = step->frame;
  *(__u64 *)to = *(__u64 *)from;
  *(__u32 *)(to + 8) = *(__u32 *)(from + 8);
  *(__u16 *)(to + 12) = *(__u16 *)(from + 12);
  /* by words of the IP header: id, source, target, ports; of the transport header the word with `free` */
  const __u32 reply = step->is_reply;
#pragma unroll
  for (int word = 0; word < 11; word++) {
    const int at = 14 + 4 * word;
    __u32 value = bpf_ntohl(*(__u32 *)(from + at));
    if (word == 1) value -= address << 16;
    if (word == 3) value += reply ? 0 : address;
    if (word == 4) value += reply ? address : 0;
    if (word == 5) value += reply ? port : port << 16;
    if (word == 9) value -= address + port;
    *(__u32 *)(to + at) = bpf_htonl(value);
  }
  *(__u16 *)(to + 58) = *(__u16 *)(from + 58);
}

static __always_inline int make_packet(void *data, void *end) {
  __u32 first = 0;
  struct plan *from = bpf_map_lookup_elem(&plan, &first);
  if (!from || data + FRAME > end) return -1;
  __u32 client, at = 0;
  if (from->random) {
    from->next = from->next * 1664525 + 1013904223;
    client = from->next >> 8;
  } else {
    client = from->next / from->count;
    at = from->next % from->count;
    from->next++;
  }
  client &= from->mask;
  write_packet(data, &from->steps[at % STEPS], client >> PORTS, client & ((1 << PORTS) - 1));
  return 0;
}

SEC("xdp") int xdp_harness(struct xdp_md *xdp) {
  if (make_packet((void *)(long)xdp->data, (void *)(long)xdp->data_end)) return XDP_ABORTED;
  bpf_tail_call(xdp, &xdp_target, 0);
  return XDP_ABORTED;
}

SEC("tc") int tc_harness(struct __sk_buff *skb) {
  if (make_packet((void *)(long)skb->data, (void *)(long)skb->data_end)) return TC_ACT_SHOT;
  bpf_tail_call(skb, &tc_target, 0);
  return TC_ACT_SHOT;
}

SEC("xdp") int xdp_nothing(struct xdp_md *xdp) { return XDP_TX; }

SEC("tc") int tc_nothing(struct __sk_buff *skb) { return TC_ACT_OK; }

/* The least that an XDP program can do about a packet that it sends back. */
SEC("xdp") int xdp_floor(struct xdp_md *xdp) {
  void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
  struct ethhdr *ethernet = data;
  struct iphdr *ip = (void *)(ethernet + 1);
  struct tcphdr *tcp = (void *)(ip + 1);
  if ((void *)(tcp + 1) > end) return XDP_DROP;
  if (ethernet->h_proto != bpf_htons(ETH_P_IP) || *(__u8 *)ip != 0x45 || ip->protocol != IPPROTO_TCP || tcp->source == 0) return XDP_PASS;
  __u16 *mac = data;
#pragma unroll
  for (int i = 0; i < 3; i++) {
    __u16 to = mac[i];
    mac[i] = mac[i + 3];
    mac[i + 3] = to;
  }
  return XDP_TX;
}

char _license[] SEC("license") = "GPL";
