/* What is counted: connections of destinations, with IPVS's thresholds, and traffic. */
#ifndef DIRECTORD_COUNTS_H
#define DIRECTORD_COUNTS_H
#include "maps.h"

/* Overloaded from `upper` connections on, until fewer than `lower` (or than three quarters of `upper`). */
inline_function void judge_overload(struct pool_destination *destination, s32 change) {
  u32 upper = destination->upper;
  if (upper == 0) return;
  u32 lower = destination->lower;
  u64 total = (u32)(destination->active + destination->inactive);
  if (change > 0 && total >= upper) __sync_fetch_and_or(&destination->flags, DESTINATION_OVERLOADED);
  else if (change < 0 && (lower > 0 ? total < lower : total * 4 < (u64)upper * 3))
    __sync_fetch_and_and(&destination->flags, ~(u32)DESTINATION_OVERLOADED);
}

/* A connection comes (1) or goes (-1). */
inline_function void count_connection(u32 slot, bool active, s32 change) {
  struct pool_destination *destination = destination_at(slot);
  if (!destination) return;
  if (active) __sync_fetch_and_add(&destination->active, change);
  else __sync_fetch_and_add(&destination->inactive, change);
  judge_overload(destination, change);
}

inline_function void count_template(u32 slot, s32 change) {
  struct pool_destination *destination = destination_at(slot);
  if (destination) __sync_fetch_and_add(&destination->persistent, change);
}

/* A connection becomes active, or inactive: their sum stays. */
inline_function void move_connection(u32 slot, bool active) {
  struct pool_destination *destination = destination_at(slot);
  if (!destination) return;
  s32 change = active ? 1 : -1;
  __sync_fetch_and_add(&destination->active, change);
  __sync_fetch_and_add(&destination->inactive, -change);
}

inline_function void count_new(u32 slot) {
  struct traffic *row = bpf_map_lookup_elem(&traffic, &slot);
  if (row) row->connections++;
}

inline_function void count_in(u32 slot, u32 bytes) {
  struct traffic *row = bpf_map_lookup_elem(&traffic, &slot);
  if (!row) return;
  row->in_packets++;
  row->in_bytes += bytes;
}

inline_function void count_out(u32 slot, u32 bytes) {
  struct traffic *row = bpf_map_lookup_elem(&traffic, &slot);
  if (!row) return;
  row->out_packets++;
  row->out_bytes += bytes;
}

#endif
