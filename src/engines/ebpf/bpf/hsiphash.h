/* The kernel's `hsiphash` of one 32-bit value on a 64-bit host: SipHash-1-3 (Aumasson and Bernstein), of which the low half is kept. */
#ifndef DIRECTORD_HSIPHASH_H
#define DIRECTORD_HSIPHASH_H
#include "maps.h"

/* v0 to v3 of SipHash. */
struct sip_state {
  u64 v0, v1, v2, v3;
};

inline_function u64 turned_left(u64 value, u32 bits) { return value << bits | value >> (64 - bits); }

inline_function void sip_round(struct sip_state *state) {
  state->v0 += state->v1;
  state->v1 = turned_left(state->v1, 13) ^ state->v0;
  state->v0 = turned_left(state->v0, 32);
  state->v2 += state->v3;
  state->v3 = turned_left(state->v3, 16) ^ state->v2;
  state->v0 += state->v3;
  state->v3 = turned_left(state->v3, 21) ^ state->v0;
  state->v2 += state->v1;
  state->v1 = turned_left(state->v1, 17) ^ state->v2;
  state->v2 = turned_left(state->v2, 32);
}

/* `key` is the value of both 64-bit halves of the key. */
inline_function u32 hsiphash(u32 value, u32 key) {
  /* "somepseudorandomlygeneratedbytes", the start of every SipHash */
  struct sip_state state = {
    0x736f6d6570736575 ^ key,
    0x646f72616e646f6d ^ key,
    0x6c7967656e657261 ^ key,
    0x7465646279746573 ^ key,
  };
  const u64 block = (u64)sizeof value << 56 | value;
  state.v3 ^= block;
  sip_round(&state);
  state.v0 ^= block;
  state.v2 ^= 0xff;
  sip_round(&state);
  sip_round(&state);
  sip_round(&state);
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

#endif
