/* Internet checksums over parts of a packet that no helper sums up: in pieces, through a scratch of this CPU. */
#ifndef DIRECTORD_SUM_H
#define DIRECTORD_SUM_H
#include "checksum.h"

/* bpf_csum_diff takes no more at once, up to Linux 6.12. */
#define SUM_PIECE 512
#define SUM_PIECES 129 /* of the largest IP packet, and what lies before it */

struct sum_scratch { u8 bytes[SUM_PIECE + 4]; };
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct sum_scratch);
} sum_scratches SEC(".maps");

/* Of the bytes from one even offset of the frame to another one, both counted from its beginning, and of `initial`: 16 bits, not complemented,
 * as they are in memory. An odd last byte counts as the first of two. Bytes that are not there count nothing: the caller has looked. */
once_function u32 sum_of(struct __sk_buff *context, u32 from, u32 to, u32 initial) {
  u32 first = 0;
  u64 sum = initial;
  struct sum_scratch *scratch = bpf_map_lookup_elem(&sum_scratches, &first);
  if (!scratch) return 0;
  for (u32 piece = 0; piece < SUM_PIECES && from < to; piece++) {
    u32 last = to - from - 1;
    if (last >= SUM_PIECE) last = SUM_PIECE - 1;
    hide(last);
    const u32 length = (last & (SUM_PIECE - 1)) + 1; /* at least 1: verifiers up to Linux 6.7 do not see that in comparisons */
    if (bpf_skb_load_bytes(context, from, scratch->bytes, length)) return 0;
    __builtin_memset(scratch->bytes + length, 0, 4);
    from += length;
    sum = folded((u64)bpf_csum_diff(NULL, 0, (u32 *)scratch->bytes, (length + 3) & ~3u, sum));
  }
  return folded(sum);
}

/* What the addresses, the length and the protocol of IPv6 add to a checksum: Internet checksums sum them up too. */
inline_function u32 pseudo_sum6(const u32 *source, const u32 *target, u32 length, u32 protocol) {
  u64 sum = (u64)bpf_htonl(length) + bpf_htonl(protocol);
  for (int word = 0; word < 4; word++) sum += (u64)source[word] + target[word];
  return folded(sum);
}

#endif
