/* The datagrams whose fragments have not all come yet, by what fragments of one datagram have in common. The oldest make room. */
#ifndef DIRECTORD_DATAGRAMS_H
#define DIRECTORD_DATAGRAMS_H
#include "datagram.h"
#include "read.h"

#define UNIT 8 /* bytes that fragments are counted in */
#define UNITS 8192
#define LIFETIME4 TICKS_OF_SECONDS(30)
#define LIFETIME6 TICKS_OF_SECONDS(60)

enum datagram_state {
  COLLECTING,
  NOT_OURS,
  BROKEN, /* its fragments contradict each other */
  DONE,
};

struct datagram {
  u32 state;
  u32 since;    /* tick */
  u32 received; /* units */
  u32 furthest; /* bytes, the end that was seen so far */
  u32 has_end;
  u32 largest;  /* fragment, with its headers */
  u32 largest_with_df;
  u32 marks;    /* ECN fields that were seen: a bit each */
  u32 header_length;
  u32 pointer;  /* IPv6: offset in the header of the byte that names what follows */
  u32 protocol; /* IPv6: what follows */
  u32 pages[PAGES_OF_DATAGRAM];
  u8 header[MOST_HEADER + 8];
  u64 there[UNITS / 64];
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 2048);
  __type(key, struct fragment_key);
  __type(value, struct datagram);
} datagrams SEC(".maps");

/* A new one, for this CPU to copy. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct datagram);
} new_datagrams SEC(".maps");

/* What the fragments of one datagram have in common. */
inline_function void key_of_fragment(const struct packet *packet, const struct details *details, struct fragment_key *key) {
  copy_address(key->source, packet->source, packet->family);
  copy_address(key->target, packet->target, packet->family);
  key->id = details->id;
  key->protocol = packet->family == 4 ? packet->protocol : 0;
  key->family = packet->family;
  key->spare = 0;
}

static __noinline struct datagram *datagram_of(const struct fragment_key *key, u32 now) {
  u32 first = 0;
  struct datagram *found = bpf_map_lookup_elem(&datagrams, key);
  if (found && (s32)(now - found->since) < (s32)(key->family == 4 ? LIFETIME4 : LIFETIME6)) return found;
  struct datagram *blank = bpf_map_lookup_elem(&new_datagrams, &first);
  if (!blank) return NULL;
  if (found) bpf_map_delete_elem(&datagrams, key);
  blank->since = now;
  bpf_map_update_elem(&datagrams, key, blank, BPF_NOEXIST);
  return bpf_map_lookup_elem(&datagrams, key);
}

#endif
