/* Real servers that may begin connections: NAT servers of UDP services with a persistence engine. */
#ifndef DIRECTORD_BEGINNERS_H
#define DIRECTORD_BEGINNERS_H
#include "call-id.h"

/* The slot of the server that sends from here, or NO_SLOT. */
inline_function u32 beginner_of(const struct packet *packet) {
  struct endpoint endpoint = { .port = source_port(packet), .protocol = packet->protocol, .family = packet->family };
  copy_address(endpoint.address, packet->source, packet->family);
  const u32 *slot = bpf_map_lookup_elem(&beginners, &endpoint);
  return slot ? *slot : NO_SLOT;
}

/* A server begins a connection with this packet; of a persistent service only one that belongs to a call, which is in the_search() then. */
inline_function bool begins_connection(struct __sk_buff *context, const struct packet *packet) {
  u32 slot = packet->protocol == IPPROTO_UDP ? beginner_of(packet) : NO_SLOT;
  const struct pool_destination *destination = slot == NO_SLOT ? NULL : destination_at(slot);
  const struct rules *rules = destination ? rules_at(destination->service) : NULL;
  if (!rules || !(destination->flags & DESTINATION_AVAILABLE)) return false;
  return rules->persistence == 0 || find_call(context, packet);
}

#endif
