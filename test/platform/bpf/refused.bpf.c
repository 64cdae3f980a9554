// The verifier refuses it, after a while: it reads a packet that it has not looked at the end of.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp") int good(struct xdp_md *context) {
  return XDP_PASS;
}

SEC("xdp") int careless(struct xdp_md *context) {
  __u8 *data = (void *)(long)context->data;
  __u64 sum = 0;
#pragma unroll
  for (int round = 0; round < 8; round++) sum = sum * 3 + bpf_ktime_get_ns();
  return data[20] == (__u8)sum ? XDP_DROP : XDP_PASS;
}
