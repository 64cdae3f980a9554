// Two programs that let everything pass, to be attached.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp") int xdp_director(struct xdp_md *context) { return XDP_PASS; }
SEC("tc") int tc_director(struct __sk_buff *context) { return -1; }
