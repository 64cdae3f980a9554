// Programs that count what they meet in a map of their own name, so that nothing that passes by goes unseen.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u64);
} met SEC(".maps");

char _license[] SEC("license") = "Dual BSD/GPL";

static __always_inline int count(__u32 who, int verdict) {
  __u64 *word = bpf_map_lookup_elem(&met, &who);
  if (word) __sync_fetch_and_add(word, 1);
  return verdict;
}

SEC("xdp") int first_xdp(struct xdp_md *context) {
  return count(0, XDP_DROP);
}

SEC("xdp") int second_xdp(struct xdp_md *context) {
  return count(1, XDP_DROP);
}

SEC("tc") int first_tc(struct __sk_buff *skb) {
  return count(0, 2);
}

SEC("tc") int second_tc(struct __sk_buff *skb) {
  return count(1, 2);
}
