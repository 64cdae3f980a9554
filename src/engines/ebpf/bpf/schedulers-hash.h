/* The hashing schedulers sh, dh and mh: an address decides, over the slot table that TypeScript filled for the service. The table follows the pool
 * with a delay; where it still names a destination that has left, the search goes on as with fallback, since the table to come will do so, too. */
#ifndef DIRECTORD_SCHEDULERS_HASH_H
#define DIRECTORD_SCHEDULERS_HASH_H
#include "client.h"
#include "hsiphash.h"
#include "schedulers-load.h"

/* Scheduler flags of the service. */
enum hash_flag { HASH_FALLBACK = 1, HASH_PORT = 2 };

#define BUCKETS 256
/* 2^32 divided by the square of the golden ratio: the kernel's multiplier for hashing 32-bit values. */
#define GOLDEN_RATIO 0x61c88647u
#define MAGLEV_SLOTS 4093
#define MAGLEV_KEY 2654435761u

/* IPv6 folded; the other words of IPv4 are 0. */
inline_function u32 fold_address(const u32 *words) { return words[0] ^ words[1] ^ words[2] ^ words[3]; }

inline_function u32 bucket_of(u32 value) { return value * GOLDEN_RATIO >> 24; }
__noinline u32 maglev_slot(u32 value) { return hsiphash(value, MAGLEV_KEY) % MAGLEV_SLOTS; }

/* What a slot of a table stands for. */
enum slot_use { SLOT_ELIGIBLE, SLOT_REFUSES, SLOT_LEFT };

inline_function enum slot_use use_of(u32 service, u32 link) {
  struct pool_destination *destination = destination_at(link - 1);
  if (!destination || destination->service != service || !(destination->flags & DESTINATION_AVAILABLE)) return SLOT_LEFT;
  return is_eligible(destination) ? SLOT_ELIGIBLE : SLOT_REFUSES;
}

inline_function u32 link_in(void *table, u32 at) {
  u32 *link = bpf_map_lookup_elem(table, &at);
  return link ? *link : 0;
}

/* A search that goes on over the table after the first choice refused: from bucket to bucket, or hashing the client again and again. */
struct retrial {
  u32 service;
  u32 client;
  u32 first;
  u32 tried;
};

inline_function u32 retrial_chunk(struct retrial *retrial, const enum scheduler scheduler) {
  if (!retrial) return NO_SLOT;
  u32 service = retrial->service, client = retrial->client, first = retrial->first, tried = retrial->tried;
  void *table = bpf_map_lookup_elem(&slot_tables, &service);
  if (!table) return NO_SLOT;
  for (u32 step = 0; step < CHUNK; step++) {
    u32 offset = first + tried + step;
    u32 at = scheduler == MH ? maglev_slot(client + offset % MAGLEV_SLOTS) : offset % BUCKETS;
    u32 link = link_in(table, at);
    if (link && use_of(service, link) == SLOT_ELIGIBLE) return link - 1;
  }
  retrial->tried = tried + CHUNK;
  return NO_SLOT;
}

__noinline u32 sh_chunk(struct retrial *retrial) { return retrial_chunk(retrial, SH); }
__noinline u32 mh_chunk(struct retrial *retrial) { return retrial_chunk(retrial, MH); }

/* Slot of the first eligible destination in the buckets from this one on, or NO_SLOT. */
__noinline u32 sh_fallback(u32 service, u32 first) {
  struct retrial retrial = {.service = service, .first = first};
  u32 found = NO_SLOT;
  for (u32 chunk = 0; chunk < BUCKETS / CHUNK && found == NO_SLOT; chunk++) found = sh_chunk(&retrial);
  return found;
}

/* Slot of the first eligible destination that a new hash of the client names, or NO_SLOT. All slots are hashed once, and some at the end again, which
 * finds nothing else; none when nobody is eligible, or that would be dear for every packet to a service that is down. */
__noinline u32 mh_fallback(u32 service, u32 client, u32 first) {
  if (highest_weight(service) == 0) return NO_SLOT;
  struct retrial retrial = {.service = service, .client = client, .first = first};
  u32 found = NO_SLOT;
  for (u32 chunk = 0; chunk < (MAGLEV_SLOTS + CHUNK - 1) / CHUNK && found == NO_SLOT; chunk++) found = mh_chunk(&retrial);
  return found;
}

/* Source hashing. */
__noinline u32 pick_sh(u32 service, u32 client, u32 flags) {
  void *table = bpf_map_lookup_elem(&slot_tables, &service);
  if (!table) return NO_SLOT;
  u32 first = bucket_of(client);
  u32 link = link_in(table, first);
  if (!link) return NO_SLOT;
  enum slot_use use = use_of(service, link);
  if (use == SLOT_ELIGIBLE) return link - 1;
  if (use == SLOT_REFUSES && !(flags & HASH_FALLBACK)) return NO_SLOT;
  /* the search starts at twice the hash: it offsets the hash by the hash, and so spreads a failed server's clients */
  return sh_fallback(service, first + first);
}

/* Destination hashing. Its table has the destinations in turn, so after one that has left comes another. */
__noinline u32 pick_dh(u32 service, u32 virtual_address) {
  void *table = bpf_map_lookup_elem(&slot_tables, &service);
  if (!table) return NO_SLOT;
  u32 first = bucket_of(virtual_address);
  u32 link = link_in(table, first);
  if (!link) return NO_SLOT;
  enum slot_use use = use_of(service, link);
  if (use == SLOT_ELIGIBLE) return link - 1;
  return use == SLOT_LEFT ? sh_fallback(service, first) : NO_SLOT;
}

/* Maglev hashing. */
__noinline u32 pick_mh(u32 service, u32 client, u32 flags) {
  void *table = bpf_map_lookup_elem(&slot_tables, &service);
  if (!table) return NO_SLOT;
  u32 first = maglev_slot(client);
  u32 link = link_in(table, first);
  if (!link) return NO_SLOT;
  enum slot_use use = use_of(service, link);
  if (use == SLOT_ELIGIBLE) return link - 1;
  if (use == SLOT_REFUSES && !(flags & HASH_FALLBACK)) return NO_SLOT;
  return mh_fallback(service, client, first);
}

/* What sh and mh hash of a client. */
inline_function u32 hashed_client(const struct client *client, u32 flags) {
  return fold_address(client->address) + (flags & HASH_PORT ? client->port : 0);
}

#endif
