/* Tells the time, and ends what is past its time. A timer goes through the tables piece by piece, whether a daemon lives or not. */
#ifndef DIRECTORD_SWEEP_H
#define DIRECTORD_SWEEP_H
#include "persistence.h"

/* Buckets that are looked at in one go. */
#define PIECE (4 * GROUP)

/* A reply's slot goes with its forward flow; one that was left alone goes when its own time is over. */
inline_function void sweep_reply(const int family, const u32 table, u32 reference, struct flow *reply, u32 now) {
  if (!has_passed(now, reply->seen, reply->timeout)) return;
  struct flow *forward = flow_at(family, reply->peer);
  if (forward && forward->life == LIVE && forward->peer == reference) return;
  if (flow_seize(reply)) flow_free(family, table, reply);
}

inline_function void sweep_slot(const int family, const u32 table, u32 reference, struct flow *flow, u32 now) {
  if (table == TEMPLATES) template_lives(family, reference, flow, now);
  else if (flow->flags & FLOW_REPLY) sweep_reply(family, table, reference, flow, now);
  else if (is_past(family, flow, now)) end_connection(family, reference);
}

/* How many of its slots were in use. */
inline_function int sweep_slots(const int family, const u32 table, u32 bucket, u32 now) {
  u32 used = 0;
  void *slots = bucket_at(family, table, bucket);
  if (!slots) return 0;
  for (u32 way = 0; way < WAYS; way++) {
    struct flow *flow = slot_of(family, slots, way);
    if (flow->life == FREE) continue;
    used++;
    if (flow->life != LIVE) continue;
    sweep_slot(family, table, reference_of(table, bucket, way), flow, now);
  }
  return used;
}

/* Tables in the order of `used` in struct settings. */
once_function int sweep_bucket(u32 table, u32 bucket, u32 now) {
  switch (table) {
  case 0: return sweep_slots(4, FULL, bucket, now);
  case 1: return sweep_slots(4, HALF, bucket, now);
  case 2: return sweep_slots(4, TEMPLATES, bucket, now);
  case 3: return sweep_slots(6, FULL, bucket, now);
  case 4: return sweep_slots(6, HALF, bucket, now);
  default: return sweep_slots(6, TEMPLATES, bucket, now);
  }
}

/* Whoever takes a slot looks at the group afterwards, so it is said to be idle before its slots are looked at. */
once_function int sweep_group(u32 table, u32 from, u32 now) {
  u32 used = 0;
  struct group *group = group_at(from);
  if (!group || table >= TABLES || group->busy[table] == 0) return 0;
  __sync_fetch_and_and(&group->busy[table], 0);
  for (u32 i = 0; i < GROUP; i++) used += sweep_bucket(table, from + i, now);
  if (used > 0) __sync_fetch_and_or(&group->busy[table], 1);
  return used;
}

once_function int sweep_at(u32 table, u32 from, u32 now) {
  u32 used = 0;
  for (u32 i = 0; i < PIECE; i += GROUP) used += sweep_group(table, from + i, now);
  return used;
}

inline_function u32 buckets_of(u32 table) {
  return 1 + (table == 0 ? full_mask4 : table == 1 ? half_mask4 : table == 2 ? template_mask4 : table == 3 ? full_mask6
            : table == 4 ? half_mask6 : template_mask6);
}

#define PERIOD 10000000ull /* ns between pieces of work, and from one time to the next */
#define ROUND 128          /* in so many of them all tables have been looked at once: 1.3 s */

struct sweeper {
  struct bpf_timer timer;
  u32 turn[TABLES]; /* bucket that comes next */
  u32 used[TABLES]; /* slots in use, of the turn so far */
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct sweeper);
} sweepers SEC(".maps");

/* The next piece of work in one table. */
once_function int sweep_turn(u32 table) {
  u32 first = 0;
  struct sweeper *sweeper = bpf_map_lookup_elem(&sweepers, &first);
  struct settings *settings = the_settings();
  if (!sweeper || !settings || table >= TABLES) return 0;
  u32 buckets = buckets_of(table);
  u32 now = now_tick(settings);
  u32 at = sweeper->turn[table];
  for (u32 done = 0; done < 64 && done * PIECE * ROUND < buckets; done++) {
    sweeper->used[table] += sweep_at(table, at, now);
    at += PIECE;
    if (at < buckets) continue;
    settings->used[table] = sweeper->used[table];
    sweeper->used[table] = at = 0;
  }
  sweeper->turn[table] = at;
  return 0;
}

static int sweep_tick(void *map, int *key, struct sweeper *sweeper) {
  struct settings *settings = the_settings();
  if (settings) tell_time(settings);
  for (u32 table = 0; table < TABLES; table++) sweep_turn(table);
  bpf_timer_start(&sweeper->timer, PERIOD, 0);
  return 0;
}

#endif
