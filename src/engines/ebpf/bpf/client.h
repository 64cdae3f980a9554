/* The new connection that a scheduler chooses a destination for. */
#ifndef DIRECTORD_CLIENT_H
#define DIRECTORD_CLIENT_H
#include "types.h"

/* Addresses and port in host order, IPv4 in word 0 and zeros after it; seconds are monotonic. */
struct client {
  u32 address[4];
  u32 virtual_address[4];
  u32 port;
  u32 family;
  u32 seconds;
};

#endif
