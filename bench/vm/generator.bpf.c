/* The generator of `make bench-vm`: run by BPF_PROG_TEST_RUN on live frames, it makes each the next client's and sends it out, as a network card
 * would receive them: 64 at a time, and no packet buffer before the receiver makes one. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "frame.h"

struct stream {
  struct frame frame; /* of the first client's port */
  __u32 interface;
  __u32 flows; /* a power of two */
  __u32 next;
  __u32 from_server; /* 1: replies, of which the client's port is the destination */
} __attribute__((packed));

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct stream);
} stream SEC(".maps");

SEC("xdp") int generate(struct xdp_md *xdp) {
  __u32 zero = 0;
  struct stream *from = bpf_map_lookup_elem(&stream, &zero);
  struct frame *frame = (void *)(long)xdp->data;
  if (!from || (void *)(frame + 1) > (void *)(long)xdp->data_end) return XDP_ABORTED;
  *frame = from->frame;
  __u32 flow = from->next++ & (from->flows - 1);
  /* one word up, another down: the checksum stays */
  if (from->from_server) frame->destination = bpf_htons(bpf_ntohs(frame->destination) + flow);
  else frame->source = bpf_htons(bpf_ntohs(frame->source) + flow);
  frame->rest[2] = bpf_htons(bpf_ntohs(frame->rest[2]) - flow);
  return bpf_redirect(from->interface, 0);
}

char _license[] SEC("license") = "GPL";
