/* The schedulers that look at every destination and take the best: lc, wlc, sed and nq the one with the least load, fo and ovf the one with
 * the highest weight. On ties the first of the list. */
#ifndef DIRECTORD_SCHEDULERS_LOAD_H
#define DIRECTORD_SCHEDULERS_LOAD_H
#include "pool-list.h"

/* A walk and the best that it met so far. */
struct search {
  u32 service;
  u32 link;
  u32 found;
  s32 weight;
  s64 load;
};

#define HEAVIER_THAN_ANY (1ll << 40)

/* Nothing found yet: a load without a weight is heavier than any. */
inline_function struct search search_from_first(u32 service) {
  struct search search = {.service = service, .link = first_link(service), .found = NO_SLOT, .weight = 0, .load = HEAVIER_THAN_ANY};
  return search;
}

/* An active connection is worth 256 inactive ones. */
inline_function s64 connection_load(const struct pool_destination *destination) {
  return (s64)destination->active * 256 + destination->inactive;
}

/* Whether load / weight < other_load / other_weight. Exactly: cross products have up to 71 bits, of which the low 8 are compared last. */
inline_function bool is_lighter(s64 load, s64 weight, s64 other_load, s64 other_weight) {
  s64 low = (load & 0xff) * other_weight;
  s64 other_low = (other_load & 0xff) * weight;
  s64 high = (load >> 8) * other_weight + (low >> 8);
  s64 other_high = (other_load >> 8) * weight + (other_low >> 8);
  return high < other_high || (high == other_high && (low & 0xff) < (other_low & 0xff));
}

inline_function u32 lightest_of_chunk(struct search *search, const enum scheduler scheduler) {
  if (!search) return 0;
  u32 service = search->service, link = search->link, found = search->found;
  s64 weight = search->weight, load = search->load;
  for (u32 step = 0; step < CHUNK; step++) {
    u32 slot = link - 1;
    struct pool_destination *destination = follow(service, &link);
    if (!destination) {
      link = 0;
      break;
    }
    if (!is_eligible(destination)) continue;
    s64 new_weight = scheduler == LC ? 1 : destination->weight;
    s64 new_load = scheduler == LC || scheduler == WLC ? connection_load(destination) : (s64)destination->active + 1;
    bool never_queues = scheduler == NQ && destination->active == 0;
    if (!never_queues && !(scheduler == LC ? new_load < load : is_lighter(new_load, new_weight, load, weight))) continue;
    found = slot;
    weight = new_weight;
    load = new_load;
    if (never_queues) {
      link = 0;
      break;
    }
  }
  search->link = link;
  search->found = found;
  search->weight = weight;
  search->load = load;
  return link;
}

__noinline u32 lc_chunk(struct search *search) { return lightest_of_chunk(search, LC); }
__noinline u32 wlc_chunk(struct search *search) { return lightest_of_chunk(search, WLC); }
__noinline u32 sed_chunk(struct search *search) { return lightest_of_chunk(search, SED); }
__noinline u32 nq_chunk(struct search *search) { return lightest_of_chunk(search, NQ); }

__noinline u32 pick_lc(u32 service) {
  struct search search = search_from_first(service);
  for (u32 chunk = 0; chunk < CHUNKS && lc_chunk(&search); chunk++);
  return search.found;
}

__noinline u32 pick_wlc(u32 service) {
  struct search search = search_from_first(service);
  for (u32 chunk = 0; chunk < CHUNKS && wlc_chunk(&search); chunk++);
  return search.found;
}

__noinline u32 pick_sed(u32 service) {
  struct search search = search_from_first(service);
  for (u32 chunk = 0; chunk < CHUNKS && sed_chunk(&search); chunk++);
  return search.found;
}

__noinline u32 pick_nq(u32 service) {
  struct search search = search_from_first(service);
  for (u32 chunk = 0; chunk < CHUNKS && nq_chunk(&search); chunk++);
  return search.found;
}

inline_function u32 heaviest_of_chunk(struct search *search, const enum scheduler scheduler) {
  if (!search) return 0;
  u32 service = search->service, link = search->link, found = search->found;
  s32 weight = search->weight;
  for (u32 step = 0; step < CHUNK; step++) {
    u32 slot = link - 1;
    struct pool_destination *destination = follow(service, &link);
    if (!destination) {
      link = 0;
      break;
    }
    if (destination->weight <= weight || !is_usable(destination)) continue;
    if (scheduler == OVF && destination->active > destination->weight) continue;
    found = slot;
    weight = destination->weight;
  }
  search->link = link;
  search->found = found;
  search->weight = weight;
  return link;
}

__noinline u32 fo_chunk(struct search *search) { return heaviest_of_chunk(search, FO); }
__noinline u32 ovf_chunk(struct search *search) { return heaviest_of_chunk(search, OVF); }

/* The highest weight of a usable destination, 0 without any. */
__noinline u32 highest_weight(u32 service) {
  struct search search = search_from_first(service);
  for (u32 chunk = 0; chunk < CHUNKS && fo_chunk(&search); chunk++);
  return search.weight;
}

__noinline u32 pick_fo(u32 service) {
  struct search search = search_from_first(service);
  for (u32 chunk = 0; chunk < CHUNKS && fo_chunk(&search); chunk++);
  return search.found;
}

__noinline u32 pick_ovf(u32 service) {
  struct search search = search_from_first(service);
  for (u32 chunk = 0; chunk < CHUNKS && ovf_chunk(&search); chunk++);
  return search.found;
}

#endif
