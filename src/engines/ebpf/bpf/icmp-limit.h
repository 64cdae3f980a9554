/* How many ICMP errors may be sent, as Linux limits them: 1,000 a second in all with bursts of 50, and to each host one a second with bursts
 * of six. A token bucket a host, in a small hashed table: two hosts that share a row share their tokens. */
#ifndef DIRECTORD_ICMP_LIMIT_H
#define DIRECTORD_ICMP_LIMIT_H
#include "clock.h"

#define ICMP_ROWS 4096
#define ICMP_ALL ICMP_ROWS /* the row of all hosts together */
#define ICMP_TRIES 4

/* Tokens are 1,024ths of a tick. */
#define TOKENS_A_TICK 1024
#define TOKENS_OF_MS(ms) ((u32)((ms) * 1000000ull * TOKENS_A_TICK >> 20))
/* Clocks of two CPUs are hardly ever further apart; a row that seems to be is an old one. */
#define CLOCKS_APART 1024

/* Tick when it was counted last << 32 | tokens left then. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, ICMP_ROWS + 1);
  __type(key, u32);
  __type(value, u64);
} icmp_tokens SEC(".maps");

inline_function bool take_tokens(u32 row, u32 cost, u32 most, u32 now) {
  u64 *bucket = bpf_map_lookup_elem(&icmp_tokens, &row);
  if (!bucket) return false;
#pragma unroll
  for (int i = 0; i < ICMP_TRIES; i++) {
    u64 before = *(volatile u64 *)bucket;
    u32 last = before >> 32;
    if (now - last < 0u - CLOCKS_APART) last = now; /* else the clock of whoever wrote it is ahead of this one */
    u64 tokens = (u32)before + (u64)(last - (u32)(before >> 32)) * TOKENS_A_TICK;
    if (tokens > most || before == 0) tokens = most;
    if (tokens < cost) return false;
    if (__sync_val_compare_and_swap(bucket, before, ((u64)last << 32) | (tokens - cost)) == before) return true;
  }
  return false;
}

/* Whether an error may be sent to this host now. */
inline_function bool may_tell(const u32 *host, u32 now) {
  u32 row = (host[0] ^ host[1] ^ host[2] ^ host[3]) * 0x9e3779b1u >> 20;
  return take_tokens(row, TOKENS_OF_MS(1000), TOKENS_OF_MS(6000), now) && take_tokens(ICMP_ALL, TOKENS_OF_MS(1), TOKENS_OF_MS(50), now);
}

#endif
