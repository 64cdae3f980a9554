/* Walks over the list of a virtual service's destinations, which TypeScript may be changing meanwhile: a walk ends in any case, and what it
 * finds was the service's own. A walk is cut into chunks, each the call of a global function, so that the verifier sees a short loop once. */
#ifndef DIRECTORD_POOL_LIST_H
#define DIRECTORD_POOL_LIST_H
#include <stdbool.h>
#include <stddef.h>
#include "maps.h"

typedef __s64 s64;

/* Together how many destinations a service may have: 4,096. */
#define CHUNK 32
#define CHUNKS 128

/* Link to the first destination (slot + 1), 0 for an empty list. */
inline_function u32 first_link(u32 service) {
  struct pool_service *the_service = service_at(service);
  return the_service ? the_service->head : 0;
}

/* The destination that a link leads to, which then leads to the one after it. None at the end of the list, and when the slot has been given to
 * another service. One that has just been deleted still leads on, so that the walk does not lose the rest. */
inline_function struct pool_destination *follow(u32 service, u32 *link) {
  if (!*link) return NULL;
  struct pool_destination *destination = destination_at(*link - 1);
  if (!destination || destination->service != service) return NULL;
  *link = destination->next;
  return destination;
}

/* Link to the destination after the one that this link leads to; to the first when it leads nowhere any more. */
inline_function u32 link_after(u32 service, u32 link) {
  return follow(service, &link) ? link : first_link(service);
}

/* Neither deleted nor overloaded nor beyond this engine's ability. */
inline_function bool is_usable(const struct pool_destination *destination) {
  u32 flags = destination->flags & (DESTINATION_AVAILABLE | DESTINATION_OVERLOADED | DESTINATION_BARRED);
  return flags == DESTINATION_AVAILABLE;
}

/* May take new connections: not quiescent either. */
inline_function bool is_eligible(const struct pool_destination *destination) {
  return destination->weight > 0 && is_usable(destination);
}

#endif
