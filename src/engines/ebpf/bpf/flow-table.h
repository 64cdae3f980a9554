/* The tables of flows: buckets of four slots in arrays, four buckets a key (Azar et al., "Balanced Allocations"), each only when those
 * before it are full. Everybody else goes through these few functions, so the tables can be replaced.
 *
 *   flow_of        the slot of a packet's direction, or NULL
 *   flow_find      its reference, or NO_SLOT
 *   flow_at        a slot by its reference
 *   flow_claim     an empty slot for a key: TAKEN, to be filled and then published
 *   flow_publish   others find it from now on
 *   flow_seize     one that was found is to be removed: true for exactly one of those who try
 *   flow_free      it is empty
 */
#ifndef DIRECTORD_FLOW_TABLE_H
#define DIRECTORD_FLOW_TABLE_H
#include "clock.h"
#include "packet.h"

/* The first four as they are in struct flow. */
struct flow_key {
  u32 source;
  u32 target;
  u32 ports;
  u32 protocol; /* and FLOW_TEMPLATE << 8 */
  u64 hash;
  const u32 *source6; /* wherever they are: the stack is small */
  const u32 *target6;
};

#define KEY_TEMPLATE ((u32)FLOW_TEMPLATE << 8)
#define KEY_MASK (KEY_TEMPLATE | 0xff)

inline_function u64 mix(u64 a, u64 b) {
  a = (a ^ b) * 0x9e3779b97f4a7c15ull;
  return a ^ (a >> 32);
}

inline_function u64 addresses_of(const struct flow_key *key) { return key->source | (u64)key->target << 32; }
inline_function u64 rest_of(const struct flow_key *key) { return key->ports | (u64)key->protocol << 32; }

inline_function void hash_key(struct flow_key *key) {
  u64 hash = __builtin_bswap64((hash_seed ^ addresses_of(key)) * 0x9e3779b97f4a7c15ull);
  hash = (hash ^ rest_of(key)) * 0xc2b2ae3d27d4eb4full;
  key->hash = hash ^ (hash >> 32); /* products carry upwards only: without this, a port in the upper half would not reach the lower bits */
}

inline_function u32 fold6(const u32 *address) {
  u64 hash = mix(hash_seed, ((u64)address[0] << 32) | address[1]);
  return (u32)mix(hash, ((u64)address[2] << 32) | address[3]);
}

inline_function void make_key(const int family, struct flow_key *key, const u32 *source, const u32 *target, u32 ports, u32 protocol) {
  key->ports = ports;
  key->protocol = protocol;
  if (family == 4) {
    key->source = source[0];
    key->target = target[0];
  } else {
    key->source = fold6(source);
    key->target = fold6(target);
    key->source6 = source;
    key->target6 = target;
  }
  hash_key(key);
}

inline_function void key_of_packet(const int family, const struct packet *packet, struct flow_key *key) {
  make_key(family, key, packet->source, packet->target, packet->ports, packet->protocol);
}

inline_function u32 mask_of(const int family, const u32 table) {
  if (family == 4) return table == FULL ? full_mask4 : table == HALF ? half_mask4 : template_mask4;
  return table == FULL ? full_mask6 : table == HALF ? half_mask6 : template_mask6;
}

inline_function void *bucket_at(const int family, const u32 table, u32 bucket) {
  if (family == 4) {
    if (table == FULL) return bpf_map_lookup_elem(&flows4, &bucket);
    return table == HALF ? bpf_map_lookup_elem(&halves4, &bucket) : bpf_map_lookup_elem(&templates4, &bucket);
  }
  if (table == FULL) return bpf_map_lookup_elem(&flows6, &bucket);
  return table == HALF ? bpf_map_lookup_elem(&halves6, &bucket) : bpf_map_lookup_elem(&templates6, &bucket);
}

inline_function struct flow *slot_of(const int family, void *bucket, u32 way) {
  if (family == 4) return &((struct bucket4 *)bucket)->slots[way & (WAYS - 1)];
  return &((struct bucket6 *)bucket)->slots[way & (WAYS - 1)].head;
}

/* Where in its bucket a key is, unless somebody else was there before: then one cache line is enough to find it. */
inline_function u32 first_way(u64 hash) { return hash >> 62; }

inline_function u32 reference_of(const u32 table, u32 bucket, u32 way) { return (table << 30) | (bucket * WAYS + way); }

inline_function struct flow *flow_at(const int family, u32 reference) {
  u32 index = reference & INDEX_MASK;
  u32 table = reference >> 30;
  if (reference == NO_SLOT) return NULL;
  void *bucket = table == FULL ? bucket_at(family, FULL, index / WAYS)
               : table == HALF ? bucket_at(family, HALF, index / WAYS)
                               : bucket_at(family, TEMPLATES, index / WAYS);
  return bucket ? slot_of(family, bucket, index) : NULL;
}

inline_function bool is_key_of(const int family, const struct flow *flow, const struct flow_key *key) {
  if (*(const volatile u64 *)&flow->source != addresses_of(key)) return false;
  u64 rest = *(const volatile u64 *)&flow->ports & ((u64)KEY_MASK << 32 | 0xffffffff);
  if (rest != rest_of(key) || *(const volatile u32 *)&flow->life != LIVE) return false;
  if (family == 4) return true;
  const struct flow6 *flow6 = (const struct flow6 *)flow;
  return same_address(flow6->source, key->source6, 6) && same_address(flow6->target, key->target6, 6);
}

inline_function u32 find_in_bucket(const int family, const u32 table, u32 bucket, const struct flow_key *key, bool *spilled) {
  void *slots = bucket_at(family, table, bucket);
  if (!slots) return NO_SLOT;
#pragma unroll
  for (u32 way = 0; way < WAYS; way++) {
    if (is_key_of(family, slot_of(family, slots, way), key)) return reference_of(table, bucket, way);
  }
  *spilled = slot_of(family, slots, 0)->spilled != 0;
  return NO_SLOT;
}

/* A key's buckets in the order in which they are tried; the one beside its first and the one beside its second are hardly ever needed. */
#define CHOICES 4
inline_function u32 choice_of(const int family, const u32 table, u64 hash, u32 choice) {
  return ((u32)(choice & 1 ? hash >> 32 : hash) ^ choice >> 1) & mask_of(family, table);
}

inline_function u32 find_in_table(const int family, const u32 table, const struct flow_key *key) {
  bool spilled = false;
  u32 found = find_in_bucket(family, table, choice_of(family, table, key->hash, 0), key, &spilled);
  if (likely(found != NO_SLOT || !spilled)) return found;
  for (u32 choice = 1; choice < CHOICES && found == NO_SLOT; choice++)
    found = find_in_bucket(family, table, choice_of(family, table, key->hash, choice), key, &spilled);
  return found;
}

inline_function u32 find_elsewhere(const int family, const struct packet *packet) {
  struct flow_key key = {};
  if (!packet) return NO_SLOT;
  key_of_packet(family, packet, &key);
  u32 found = find_in_table(family, FULL, &key);
  return found != NO_SLOT ? found : find_in_table(family, HALF, &key);
}

/* Kept out of line: most packets are of flows in the full table, in the first bucket of their key and there where they are looked for first. */
once_function u32 find_elsewhere4(const struct packet *packet) { return find_elsewhere(4, packet); }
once_function u32 find_elsewhere6(const struct packet *packet) { return find_elsewhere(6, packet); }

/* The slot of the packet's direction, and its reference; NULL and NO_SLOT for none. */
inline_function struct flow *flow_of(const int family, const struct packet *packet, u32 *reference) {
  struct flow_key key = {};
  key_of_packet(family, packet, &key);
  const u32 bucket = (u32)key.hash & mask_of(family, FULL);
  void *slots = bucket_at(family, FULL, bucket);
  *reference = NO_SLOT;
  if (!slots) return NULL;
  const u32 way = first_way(key.hash);
  struct flow *flow = slot_of(family, slots, way);
  if (likely(is_key_of(family, flow, &key))) {
    *reference = reference_of(FULL, bucket, way);
    return flow;
  }
  *reference = family == 4 ? find_elsewhere4(packet) : find_elsewhere6(packet);
  return flow_at(family, *reference);
}

inline_function u32 flow_find(const int family, const struct packet *packet) {
  u32 reference;
  flow_of(family, packet, &reference);
  return reference;
}

inline_function bool flow_seize(struct flow *flow) { return __sync_val_compare_and_swap(&flow->life, LIVE, TAKEN) == LIVE; }

inline_function void key_of_slot(const int family, const struct flow *flow, struct flow_key *key) {
  key->source = flow->source;
  key->target = flow->target;
  key->ports = flow->ports;
  key->protocol = *(const volatile u32 *)&flow->protocol & KEY_MASK;
  if (family == 6) {
    key->source6 = ((const struct flow6 *)flow)->source;
    key->target6 = ((const struct flow6 *)flow)->target;
  }
  hash_key(key);
}

/* `spilled` is the upper half of the word that `new_port` begins. */
inline_function void count_spilled(const int family, const u32 table, u64 hash, s32 change) {
  void *slots = bucket_at(family, table, (u32)hash & mask_of(family, table));
  if (slots) __sync_fetch_and_add((u32 *)&slot_of(family, slots, 0)->new_port, (u32)change << 16);
}

/* Of one that was seized. */
inline_function void flow_free(const int family, const u32 table, struct flow *flow) {
  if (unlikely(flow->displaced)) {
    struct flow_key key = {};
    key_of_slot(family, flow, &key);
    count_spilled(family, table, key.hash, -1);
  }
  flow->displaced = 0;
  *(volatile u32 *)&flow->life = FREE;
}

inline_function u32 claim_in_bucket(const int family, const u32 table, u32 bucket, u32 first) {
  void *slots = bucket_at(family, table, bucket);
  if (!slots) return NO_SLOT;
#pragma unroll
  for (u32 step = 0; step < WAYS; step++) {
    const u32 way = first ^ step;
    struct flow *flow = slot_of(family, slots, way);
    if (flow->life == FREE && __sync_val_compare_and_swap(&flow->life, FREE, TAKEN) == FREE) return reference_of(table, bucket, way);
  }
  return NO_SLOT;
}

/* In the order of `used` in struct settings. */
inline_function u32 table_number(const int family, const u32 table) { return (family == 4 ? 0 : 3) + table; }

inline_function struct group *group_at(u32 bucket) {
  u32 number = bucket / GROUP;
  return bpf_map_lookup_elem(&groups, &number);
}

/* The slot is TAKEN, and holds the key; NO_SLOT when all its buckets are full. */
inline_function u32 flow_claim(const int family, const u32 table, const struct flow_key *key) {
  const u32 first = first_way(key->hash);
  u32 claimed = claim_in_bucket(family, table, choice_of(family, table, key->hash, 0), first);
  const bool displaced = claimed == NO_SLOT;
  if (unlikely(displaced)) {
    for (u32 choice = 1; choice < CHOICES && claimed == NO_SLOT; choice++)
      claimed = claim_in_bucket(family, table, choice_of(family, table, key->hash, choice), first);
    if (claimed == NO_SLOT) return NO_SLOT;
    count_spilled(family, table, key->hash, 1);
  }
  struct flow *flow = flow_at(family, claimed);
  struct group *group = group_at((claimed & INDEX_MASK) / WAYS);
  if (!flow || !group) return NO_SLOT;
  u32 *busy = &group->busy[table_number(family, table)];
  if (*(volatile u32 *)busy == 0) __sync_fetch_and_or(busy, 1); /* after the slot was taken: see sweep_group */
  flow->source = key->source;
  flow->target = key->target;
  flow->ports = key->ports;
  flow->protocol = key->protocol & 0xff;
  flow->flags = key->protocol >> 8;
  flow->state = 0;
  flow->displaced = displaced;
  flow->peer = NO_SLOT;
  if (family == 6) {
    copy_address(((struct flow6 *)flow)->source, key->source6, 6);
    copy_address(((struct flow6 *)flow)->target, key->target6, 6);
  }
  return claimed;
}

inline_function void flow_publish(struct flow *flow) { __sync_val_compare_and_swap(&flow->life, TAKEN, LIVE); }

#endif
