/* Round robin and weighted round robin. Several CPUs go on from one place in the list, which they move by compare-and-swap, so that their
 * connections together go round in exactly the order of a single one. */
#ifndef DIRECTORD_SCHEDULERS_ROUND_H
#define DIRECTORD_SCHEDULERS_ROUND_H
#include "schedulers-load.h"

/* How often a pick starts again because another CPU was faster; then it is content with a place that another has taken, too. */
#define ATTEMPTS 256

/* ---- rr: state word 0 is the link to the last destination, 0 before the first */

struct round {
  u32 service;
  u32 head;
  u32 link;
  u32 left; /* how many are still to be looked at */
};

/* Slot of the next eligible destination, NO_SLOT without one in this chunk. */
__noinline u32 rr_chunk(struct round *round) {
  if (!round) return NO_SLOT;
  u32 service = round->service, link = round->link, left = round->left;
  u32 found = NO_SLOT;
  for (u32 step = 0; step < CHUNK && left; step++, left--) {
    if (!link) link = round->head;
    u32 slot = link - 1;
    struct pool_destination *destination = follow(service, &link);
    if (!destination) link = 0;
    else if (is_eligible(destination)) {
      found = slot;
      break;
    }
  }
  round->link = link;
  round->left = found == NO_SLOT ? left : 0;
  return found;
}

__noinline u32 next_eligible(u32 service, u32 last) {
  struct pool_service *the_service = service_at(service);
  if (!the_service) return NO_SLOT;
  struct round round = {.service = service, .head = the_service->head, .link = link_after(service, last), .left = the_service->count};
  u32 found = NO_SLOT;
  for (u32 chunk = 0; chunk < CHUNKS && round.left; chunk++) found = rr_chunk(&round);
  return found;
}

__noinline u32 pick_rr(u32 service) {
  struct pool_service *the_service = service_at(service);
  if (!the_service) return NO_SLOT;
  u32 found = NO_SLOT;
  u32 last = *(volatile u32 *)&the_service->state[0];
  for (u32 attempt = 0; attempt < ATTEMPTS; attempt++) {
    found = next_eligible(service, last);
    if (found == NO_SLOT) break;
    u32 now = __sync_val_compare_and_swap(&the_service->state[0], last, found + 1);
    if (now == last) break;
    last = now;
  }
  return found;
}

/* ---- wrr: state words are the link to the last destination, 0 before the first; the current level; the highest; the step between levels */

union wrr_place {
  u64 both;
  struct {
    u32 link;
    u32 level;
  };
};

struct pass {
  u32 service;
  u32 link;
  s32 level;
  u32 found;
};

__noinline u32 wrr_chunk(struct pass *pass) {
  if (!pass) return 0;
  u32 service = pass->service, link = pass->link;
  s32 level = pass->level;
  for (u32 step = 0; step < CHUNK; step++) {
    u32 slot = link - 1;
    struct pool_destination *destination = follow(service, &link);
    if (!destination) {
      link = 0;
      break;
    }
    if (destination->weight >= level && is_eligible(destination)) {
      pass->found = slot;
      link = 0;
      break;
    }
  }
  pass->link = link;
  return link;
}

/* Slot of the first destination from this link on whose weight reaches the level, or NO_SLOT. */
__noinline u32 first_reaching(u32 service, u32 link, u32 level) {
  struct pass pass = {.service = service, .link = link, .level = level, .found = NO_SLOT};
  for (u32 chunk = 0; chunk < CHUNKS && wrr_chunk(&pass); chunk++);
  return pass.found;
}

/* The next lower level, round again after the lowest, that at least one usable destination reaches; 0 when there is none. */
inline_function u32 next_level(u32 service, s64 level, s64 highest, u32 step) {
  s64 heaviest = highest_weight(service);
  if (heaviest == 0) return 0;
  s64 lower = level > step ? level - step : highest;
  if (lower <= heaviest) return lower;
  return lower - ((u64)(lower - heaviest) + step - 1) / step * step;
}

/* Slot of the next destination, or NO_SLOT; moves the place to where it stands after this pick. */
__noinline u32 next_by_weight(u32 service, union wrr_place *place) {
  struct pool_service *the_service = service_at(service);
  if (!the_service || !place) return NO_SLOT;
  u32 highest = the_service->state[2];
  u32 step = the_service->state[3] ?: 1;
  if (highest == 0) return NO_SLOT;
  u32 from = place->link ? link_after(service, place->link) : the_service->head;
  u32 found = first_reaching(service, from, place->level);
  if (found == NO_SLOT) {
    u32 level = next_level(service, place->level, highest, step);
    if (level == 0) {
      /* All are overloaded. The search went through every pass, and ends before the highest, except from the middle of the lowest: then it
       * comes back to where it began. */
      if (place->level > step || place->link == 0) *place = (union wrr_place){.link = 0, .level = highest};
      return NO_SLOT;
    }
    found = first_reaching(service, the_service->head, level);
    place->level = level;
  }
  place->link = found + 1;
  return found;
}

__noinline u32 pick_wrr(u32 service) {
  struct pool_service *the_service = service_at(service);
  if (!the_service) return NO_SLOT;
  u64 *state = (u64 *)the_service->state;
  u32 found = NO_SLOT;
  u64 before = *(volatile u64 *)state;
  for (u32 attempt = 0; attempt < ATTEMPTS; attempt++) {
    union wrr_place place = {.both = before};
    found = next_by_weight(service, &place);
    if (place.both == before) break;
    u64 now = __sync_val_compare_and_swap(state, before, place.both);
    if (now == before) break;
    before = now;
  }
  return found;
}

#endif
