/* Tunnels, and the checksums that packets without one get. */
#ifndef DIRECTORD_TUNNEL_H
#define DIRECTORD_TUNNEL_H
#include "hops.h"
#include "read.h"

/* NAT gives UDP packets that came without a checksum one, as IPVS does. @returns 0, or negative */
static __noinline int complete_checksum(struct __sk_buff *context, const struct packet *packet) { return 0; }

static __noinline int into_tunnel(struct __sk_buff *context, const struct packet *packet, const struct details *details, u32 slot,
                                  struct server *server, struct route *route, u32 now) {
  return TC_ACT_SHOT;
}

#endif
