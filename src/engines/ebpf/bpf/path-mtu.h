/* How large packets on the way to a server may be, where a router told (RFC 1191, RFC 8201), for as long as Linux believes it. */
#ifndef DIRECTORD_PATH_MTU_H
#define DIRECTORD_PATH_MTU_H
#include "clock.h"

/* net.ipv4.route.mtu_expires and net.ipv6.route.mtu_expires */
#define PATH_MTU_KEPT TICKS_OF_SECONDS(600)

/* At most `mtu`, that of the hop. */
inline_function u32 mtu_to(const struct server *server, u32 mtu, u32 now) {
  u32 path = server->path_mtu;
  return path != 0 && path < mtu && (s32)(now - server->path_mtu_tick) < (s32)PATH_MTU_KEPT ? path : mtu;
}

/* Only ever lowers what is known, as the kernel does, and to no less than net.ipv4.route.min_pmtu, or RFC 8200 section 5. */
inline_function void learn_mtu(struct server *server, u32 mtu, u32 now) {
  u32 least = server->family == 4 ? 552 : 1280;
  u32 learned = mtu < least ? least : mtu;
  if (learned > mtu_to(server, 0xffffffff, now)) return;
  server->path_mtu_tick = now;
  server->path_mtu = learned;
  server->hop.second = 0; /* the common path asks anew */
}

#endif
