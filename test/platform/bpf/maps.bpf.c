// Programs and maps of every kind that the binding's tests use.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct counters {
  __u64 packets;
  __u64 bytes;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u64);
} shared SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8);
  __type(key, __u32);
  __type(value, __u64);
} table SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 3);
  __type(key, __u32);
  __type(value, struct counters);
} counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} records SEC(".maps");

const volatile __u32 answer = 1;
const volatile __u8 mac[6] = {0};
const volatile __u64 wide = 0;

char _license[] SEC("license") = "Dual BSD/GPL";

/** Counts, tells, writes the first byte of the packet, and returns the constant. */
SEC("xdp") int on_xdp(struct xdp_md *context) {
  __u8 *data = (void *)(long)context->data;
  __u8 *end = (void *)(long)context->data_end;
  __u32 key = 1;
  __u64 *word = bpf_map_lookup_elem(&shared, &key);
  if (word) __sync_fetch_and_add(word, 1);
  struct counters *count = bpf_map_lookup_elem(&counts, &key);
  if (count) {
    count->packets++;
    count->bytes += end - data;
  }
  if (data + 14 > end) return XDP_ABORTED;
  __u8 head[14];
  __builtin_memcpy(head, data, sizeof(head));
  bpf_ringbuf_output(&records, head, sizeof(head), 0);
  data[0] = mac[5];
  if (wide != 0 && bpf_xdp_adjust_head(context, -(int)wide)) return XDP_ABORTED;
  return answer;
}

SEC("tc") int on_tc(struct __sk_buff *skb) {
  __u32 key = 2;
  __u64 *word = bpf_map_lookup_elem(&shared, &key);
  if (word) __sync_fetch_and_add(word, 1);
  skb->cb[0] = skb->mark + 1;
  return answer;
}
