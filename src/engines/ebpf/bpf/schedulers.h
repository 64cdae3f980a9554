/* The choice of a destination for a new connection: the schedulers of IPVS over the pool that TypeScript fills, as src/scheduling has them. Notes
 * and state words are shared with them; what they do when the table changes (attached, changed, removing) TypeScript does. */
#ifndef DIRECTORD_SCHEDULERS_H
#define DIRECTORD_SCHEDULERS_H
#include "client.h"
#include "schedulers-chance.h"
#include "schedulers-hash.h"
#include "schedulers-load.h"
#include "schedulers-locality.h"
#include "schedulers-round.h"

/* Slot of the destination, or NO_SLOT: refused. */
static __noinline u32 schedule(u32 service, const struct client *client) {
  struct pool_service *the_service = service_at(service);
  if (!the_service) return NO_SLOT;
  switch (the_service->scheduler) {
  case RR: return pick_rr(service);
  case WRR: return pick_wrr(service);
  case LC: return pick_lc(service);
  case WLC: return pick_wlc(service);
  case SED: return pick_sed(service);
  case NQ: return pick_nq(service);
  case FO: return pick_fo(service);
  case OVF: return pick_ovf(service);
  case SH: return pick_sh(service, hashed_client(client, the_service->flags), the_service->flags);
  case DH: return pick_dh(service, fold_address(client->virtual_address));
  case MH: return pick_mh(service, hashed_client(client, the_service->flags), the_service->flags);
  case LBLC: return pick_lblc(service, client->seconds);
  case LBLCR: return pick_lblcr(service, client->seconds);
  case TWOS: return pick_twos(service);
  default: return NO_SLOT;
  }
}

#endif
