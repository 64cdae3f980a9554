/* twos, the power of two choices (Mitzenmacher): two destinations drawn at random in proportion to their weights, of which the less loaded one for
 * its weight takes the connection. */
#ifndef DIRECTORD_SCHEDULERS_CHANCE_H
#define DIRECTORD_SCHEDULERS_CHANCE_H
#include "schedulers-load.h"

/* A walk that finds whose weight covers each of two tickets, when the eligible ones are laid end to end; what is left of each. */
struct draw {
  u32 service;
  u32 link;
  u64 total;
  s64 left[2];
  u32 found[2];
};

/* Adds up the weights. */
__noinline u32 weigh_chunk(struct draw *draw) {
  if (!draw) return 0;
  u32 service = draw->service, link = draw->link;
  u64 total = draw->total;
  for (u32 step = 0; step < CHUNK; step++) {
    struct pool_destination *destination = follow(service, &link);
    if (!destination) {
      link = 0;
      break;
    }
    if (is_eligible(destination)) total += (u32)destination->weight;
  }
  draw->link = link;
  draw->total = total;
  return link;
}

/* When weights have just become less, the last eligible one covers what is left over. */
__noinline u32 draw_chunk(struct draw *draw) {
  if (!draw) return 0;
  u32 link = draw->link;
  s64 one = draw->left[0], other = draw->left[1];
  for (u32 step = 0; step < CHUNK && (one >= 0 || other >= 0); step++) {
    u32 slot = link - 1;
    struct pool_destination *destination = follow(draw->service, &link);
    if (!destination) {
      link = 0;
      break;
    }
    if (!is_eligible(destination)) continue;
    if (one >= 0) draw->found[0] = slot;
    if (other >= 0) draw->found[1] = slot;
    one -= destination->weight;
    other -= destination->weight;
  }
  draw->left[0] = one;
  draw->left[1] = other;
  draw->link = one >= 0 || other >= 0 ? link : 0;
  return draw->link;
}

inline_function s64 ticket(u64 total) { return ((u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32()) % total; }

__noinline u32 pick_twos(u32 service) {
  u32 first = first_link(service);
  struct draw draw = {.service = service, .link = first, .found = {NO_SLOT, NO_SLOT}};
  for (u32 chunk = 0; chunk < CHUNKS && weigh_chunk(&draw); chunk++);
  if (draw.total == 0) return NO_SLOT;
  draw.link = first;
  draw.left[0] = ticket(draw.total);
  draw.left[1] = ticket(draw.total);
  for (u32 chunk = 0; chunk < CHUNKS && draw_chunk(&draw); chunk++);
  struct pool_destination *one = destination_at(draw.found[0]);
  struct pool_destination *other = destination_at(draw.found[1]);
  if (draw.found[0] == NO_SLOT || draw.found[1] == NO_SLOT || !one || !other) return NO_SLOT;
  bool better = is_lighter(connection_load(other), other->weight, connection_load(one), one->weight);
  return draw.found[better];
}

#endif
