/* All maps. Sizes that depend on settings are set before loading. Those that TypeScript maps into its own memory are mmapable arrays. */
#ifndef DIRECTORD_MAPS_H
#define DIRECTORD_MAPS_H
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include "types.h"

#define ARRAY_OF(name, record, entries) \
  struct { \
    __uint(type, BPF_MAP_TYPE_ARRAY); \
    __uint(map_flags, BPF_F_MMAPABLE); \
    __uint(max_entries, entries); \
    __type(key, u32); \
    __type(value, record); \
  } name SEC(".maps")

struct pool_record { u32 words[16]; };
ARRAY_OF(pool, struct pool_record, 1);
ARRAY_OF(rules, struct rules, 1);
ARRAY_OF(servers, struct server, 1);
ARRAY_OF(settings, struct settings, 1);
ARRAY_OF(flows4, struct bucket4, 1);
ARRAY_OF(halves4, struct bucket4, 1);
ARRAY_OF(templates4, struct bucket4, 1);
ARRAY_OF(flows6, struct bucket6, 1);
ARRAY_OF(halves6, struct bucket6, 1);
ARRAY_OF(templates6, struct bucket6, 1);
ARRAY_OF(groups, struct group, 1);
ARRAY_OF(tallies, struct tally, 1); /* all together, services, destinations, then how much of each destination's traffic is in them */
ARRAY_OF(mark_rules, struct mark_rule, 1 + 4 * MOST_MARK_RULES);

/* Virtual services by where packets go, and firewall marks: the pool's slot. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, struct endpoint);
  __type(value, u32);
} endpoints SEC(".maps");

/* Endpoints of real servers, and how many destinations share each: who may send an unknown reply. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct endpoint);
  __type(value, u32);
} real_endpoints SEC(".maps");

/* Real servers that may begin connections: the destination's slot, of those that share an endpoint the newest's. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct endpoint);
  __type(value, u32);
} beginners SEC(".maps");

/* Data of persistence engines, of the templates that have such. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct template_name);
  __type(value, struct template_data);
} template_data SEC(".maps");

/* This host's own addresses, of any interface. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct address);
  __type(value, u32);
} own_addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, u32);
  __type(value, struct interface);
} interfaces SEC(".maps");

/* Traffic of each destination. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct traffic);
} traffic SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, DROPS);
  __type(key, u32);
  __type(value, u64);
} drops SEC(".maps");

/* Slot tables of sh, dh (256 entries) and mh (4,093): destination slot + 1. By service slot; TypeScript swaps one whole. */
struct slot_table {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4096);
  __type(key, u32);
  __type(value, u32);
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, u32);
  __array(values, struct slot_table);
} slot_tables SEC(".maps");

/* The steps of tc_director for what is not the common case, each a program of its own. */
enum step {
  STEP_RARE,     /* tc_rare: TCP and UDP that the common path does not do */
  STEP_ICMP,     /* tc_icmp: ICMP errors about connections */
  STEP_FRAGMENT, /* tc_fragment: a fragment */
  STEP_TELL,     /* tc_tell: makes an ICMP error of the packet, and sends it back: the errand says which */
  STEP_CUT,      /* tc_cut: sends the packet, which is ready to go, in fragments: the errand says where and how large */
  STEP_BEGUN,    /* tc_begun: a server's packet that begins a connection */
  STEPS,
};
struct step_programs {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 16);
  __uint(key_size, sizeof(u32));
  __array(values, int(void *));
};
struct step_programs steps SEC(".maps"); /* directord.bpf.c fills it */

/* What a step is told by the one before. */
struct errand {
  u32 tell;  /* enum tell */
  u32 mtu;   /* of TELL_TOO_BIG; of STEP_CUT the size of the largest fragment */
  u32 count; /* slot of the destination on which the error counts as a reply, NO_SLOT for none */
  struct hop hop;
  u32 next_family;
  u32 next[4];
  /* of STEP_CUT */
  u32 overhead;     /* bytes that a tunnel put before the packet */
  u32 transport;    /* offset in the frame of the transport header, before that */
  u32 protocol;     /* there */
  u32 id;           /* of IPv6 fragments, network order; 0 for a new one */
  u32 slot;         /* whose tunnel goes around each segment, NO_SLOT for none */
  u32 traits;       /* of that */
  bool is_merged;   /* into segments, not fragments */
  bool is_datagram; /* the frame has but its beginning: see datagram.h */
  bool inwards;     /* it is for this host: it comes in once more */
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct errand);
} errands SEC(".maps");

enum tell {
  TELL_PORT_UNREACHABLE,
  TELL_HOST_UNREACHABLE,
  TELL_TIME_EXCEEDED,
  TELL_TOO_BIG,
  TELL_AGAIN, /* an error of somebody else, about another packet: instead of an MTU its type << 8 | code */
};

/* How large the maps are that programs index themselves. */
const volatile u32 service_slots = 0;
const volatile u32 destination_slots = 0;
const volatile u32 full_mask4 = 0; /* buckets - 1 */
const volatile u32 half_mask4 = 0;
const volatile u32 template_mask4 = 0;
const volatile u32 full_mask6 = 0;
const volatile u32 half_mask6 = 0;
const volatile u32 template_mask6 = 0;
const volatile u64 hash_seed = 0;

#define inline_function static __always_inline
/* Verified once, for whatever arguments: keeps the verifier's work in bounds. Pointers may be NULL for all it knows. */
#define once_function __attribute__((noinline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* From here on the compiler knows nothing of the value. */
#define hide(value) asm volatile("" : "+r"(value))

/* Whether it is from 1 to `most`, told so that kernels before 6.8 know it too: they learn nothing from a comparison with 0. */
inline_function bool is_length(u32 *length, u32 most) {
  u32 rest = *length - 1;
  hide(rest);
  if (rest >= most) return false;
  *length = rest + 1;
  return true;
}

inline_function struct pool_service *service_at(u32 slot) {
  u32 at = 1 + slot;
  return bpf_map_lookup_elem(&pool, &at);
}

inline_function struct pool_destination *destination_at(u32 slot) {
  u32 at = 1 + service_slots + slot;
  return bpf_map_lookup_elem(&pool, &at);
}

inline_function struct rules *rules_at(u32 slot) { return bpf_map_lookup_elem(&rules, &slot); }
inline_function struct server *server_at(u32 slot) { return bpf_map_lookup_elem(&servers, &slot); }

inline_function struct settings *the_settings(void) {
  u32 first = 0;
  return bpf_map_lookup_elem(&settings, &first);
}

inline_function void count_drop(u32 reason) {
  u64 *count = bpf_map_lookup_elem(&drops, &reason);
  if (count) (*count)++;
}

#endif
