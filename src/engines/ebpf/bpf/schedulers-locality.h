/* lblc and lblcr: who served a virtual address goes on serving it while it is not busier than its share, so that one cache holds one site. As in
 * IPVS reaching the upper threshold does not turn down whom lblc remembers; a memory of a day ago counts for nothing. */
#ifndef DIRECTORD_SCHEDULERS_LOCALITY_H
#define DIRECTORD_SCHEDULERS_LOCALITY_H
#include "schedulers-load.h"

/* Seconds after which a memory that was not used is dropped (the kernel's default of `lblc_expiration`). */
#define EXPIRATION 86400

inline_function bool has_expired(u32 since, u32 seconds) { return (s32)(seconds - since) > EXPIRATION; }

/* 1 when it met a destination with less than half of the active connections that its weight is good for. */
__noinline u32 idle_chunk(struct search *search) {
  if (!search) return 0;
  u32 service = search->service, link = search->link;
  for (u32 step = 0; step < CHUNK; step++) {
    struct pool_destination *destination = follow(service, &link);
    if (!destination) {
      link = 0;
      break;
    }
    if ((s64)destination->active * 2 < destination->weight && destination->flags & DESTINATION_AVAILABLE) {
      search->link = 0;
      return 1;
    }
  }
  search->link = link;
  return 0;
}

/* More active connections than its weight, while some destination has less than half of its own: 1, else 0. */
__noinline u32 should_share(u32 service, u32 slot) {
  struct pool_destination *destination = destination_at(slot);
  if (!destination || destination->active <= destination->weight) return 0;
  struct search search = search_from_first(service);
  u32 found = 0;
  for (u32 chunk = 0; chunk < CHUNKS && search.link; chunk++) found = idle_chunk(&search);
  return found;
}

/* ---- lblc. State words: link to the remembered destination, or 0; second of its last use. The remembered one's note is 1, so it is known when it
 * is deleted and comes back to its connections, and a new destination in the same slot is not taken for it. */

enum lblc_word { LBLC_REMEMBERED, LBLC_LAST_USE };
#define LBLC_NOTED 1

inline_function bool is_remembered(const struct pool_destination *destination, u32 service) {
  return destination->flags & DESTINATION_AVAILABLE && destination->service == service && destination->note == LBLC_NOTED;
}

inline_function bool lblc_stays(u32 service, u32 slot, const struct pool_destination *remembered, u32 last_use, u32 seconds) {
  return is_remembered(remembered, service) && !has_expired(last_use, seconds) && remembered->weight > 0 &&
         !(remembered->flags & DESTINATION_BARRED) && !should_share(service, slot);
}

__noinline u32 pick_lblc(u32 service, u32 seconds) {
  struct pool_service *the_service = service_at(service);
  if (!the_service) return NO_SLOT;
  u32 slot = the_service->state[LBLC_REMEMBERED] - 1;
  struct pool_destination *remembered = slot == NO_SLOT ? NULL : destination_at(slot);
  if (!remembered || !lblc_stays(service, slot, remembered, the_service->state[LBLC_LAST_USE], seconds)) {
    slot = pick_wlc(service);
    struct pool_destination *chosen = destination_at(slot);
    if (slot == NO_SLOT || !chosen) return NO_SLOT;
    if (remembered && remembered->service == service) remembered->note = 0;
    chosen->note = LBLC_NOTED;
    the_service->state[LBLC_REMEMBERED] = slot + 1;
  }
  the_service->state[LBLC_LAST_USE] = seconds;
  return slot;
}

/* ---- lblcr. State words: how many joined so far; how many of them are forgotten; second of the last use; second when a member joined or left. A
 * destination's note is its number among those that joined, so a member that is deleted and comes back to its connections is one still,
 * and a new destination in the same slot is not. */

enum lblcr_word { LBLCR_JOINED, LBLCR_FORGOTTEN, LBLCR_LAST_USE, LBLCR_LAST_CHANGE };

/* A walk over the members: who has the least, or the most, load for its weight, on ties the one that joined last. */
struct members {
  u32 service;
  u32 link;
  u32 forgotten;
  u32 count;
  u32 found;
  s32 weight;
  s64 load;
  u32 note;
  u32 spare;
};

inline_function bool comes_before(const struct members *best, s64 load, s64 weight, u32 note, bool most) {
  if (best->found == NO_SLOT) return true;
  if (is_lighter(load, weight, best->load, best->weight)) return !most;
  if (is_lighter(best->load, best->weight, load, weight)) return most;
  return note > best->note;
}

inline_function u32 members_chunk(struct members *members, const bool most) {
  if (!members) return 0;
  u32 link = members->link;
  for (u32 step = 0; step < CHUNK; step++) {
    u32 slot = link - 1;
    struct pool_destination *destination = follow(members->service, &link);
    if (!destination) {
      link = 0;
      break;
    }
    u32 note = destination->note;
    if (note <= members->forgotten) continue;
    members->count++;
    if (most ? destination->weight <= 0 : !is_eligible(destination)) continue;
    s64 load = connection_load(destination);
    s32 weight = destination->weight;
    if (!comes_before(members, load, weight, note, most)) continue;
    members->found = slot;
    members->load = load;
    members->weight = weight;
    members->note = note;
  }
  members->link = link;
  return link;
}

__noinline u32 least_member_chunk(struct members *members) { return members_chunk(members, false); }
__noinline u32 most_member_chunk(struct members *members) { return members_chunk(members, true); }

/* Slot of the least loaded eligible member, or NO_SLOT. */
__noinline u32 least_member(u32 service, u32 forgotten) {
  struct members members = {.service = service, .link = first_link(service), .forgotten = forgotten, .found = NO_SLOT};
  for (u32 chunk = 0; chunk < CHUNKS && least_member_chunk(&members); chunk++);
  return members.found;
}

/* Slot of the most loaded member that has a weight, when there are several members; else NO_SLOT. */
__noinline u32 member_to_leave(u32 service, u32 forgotten) {
  struct members members = {.service = service, .link = first_link(service), .forgotten = forgotten, .found = NO_SLOT};
  for (u32 chunk = 0; chunk < CHUNKS && most_member_chunk(&members); chunk++);
  return members.count > 1 ? members.found : NO_SLOT;
}

inline_function void lblcr_leave(struct pool_service *the_service, u32 slot, u32 seconds) {
  struct pool_destination *member = destination_at(slot);
  if (slot == NO_SLOT || !member) return;
  member->note = 0;
  the_service->state[LBLCR_LAST_CHANGE] = seconds;
}

inline_function void lblcr_join(struct pool_service *the_service, u32 slot, u32 seconds) {
  struct pool_destination *chosen = destination_at(slot);
  if (slot == NO_SLOT || !chosen || chosen->note > the_service->state[LBLCR_FORGOTTEN]) return;
  chosen->note = __sync_fetch_and_add(&the_service->state[LBLCR_JOINED], 1) + 1;
  the_service->state[LBLCR_LAST_CHANGE] = seconds;
}

__noinline u32 pick_lblcr(u32 service, u32 seconds) {
  struct pool_service *the_service = service_at(service);
  if (!the_service) return NO_SLOT;
  u32 *state = the_service->state;
  if (has_expired(state[LBLCR_LAST_USE], seconds)) state[LBLCR_FORGOTTEN] = state[LBLCR_JOINED];
  state[LBLCR_LAST_USE] = seconds;
  u32 least = least_member(service, state[LBLCR_FORGOTTEN]);
  if (has_expired(state[LBLCR_LAST_CHANGE], seconds)) {
    lblcr_leave(the_service, member_to_leave(service, state[LBLCR_FORGOTTEN]), seconds);
  }
  if (least != NO_SLOT && !should_share(service, least)) return least;
  u32 chosen = pick_wlc(service);
  lblcr_join(the_service, chosen, seconds);
  return chosen;
}

#endif
