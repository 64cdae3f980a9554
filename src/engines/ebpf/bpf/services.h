/* Which virtual service takes a new connection, in the order in which IPVS looks: firewall mark, exact endpoint, FTP's data ports, port 0. */
#ifndef DIRECTORD_SERVICES_H
#define DIRECTORD_SERVICES_H
#include "packet.h"

#define FTP 21
#define FTP_DATA 20
#define UNPRIVILEGED 1024

inline_function u32 service_of_endpoint(const struct endpoint *endpoint) {
  u32 *slot = bpf_map_lookup_elem(&endpoints, endpoint);
  return slot ? *slot : NO_SLOT;
}

inline_function u32 find_service(const struct settings *settings, const struct packet *packet, u32 mark) {
  u32 found = NO_SLOT;
  if (mark != 0) {
    struct endpoint of_mark = { .address = { mark }, .family = packet->family };
    found = service_of_endpoint(&of_mark);
    if (found != NO_SLOT) return found;
  }
  struct endpoint endpoint = { .port = target_port(packet), .protocol = packet->protocol, .family = packet->family };
  copy_address(endpoint.address, packet->target, packet->family);
  found = service_of_endpoint(&endpoint);
  u16 port = bpf_ntohs(endpoint.port);
  if (found == NO_SLOT && settings->ftp > 0 && packet->protocol == IPPROTO_TCP && (port == FTP_DATA || port >= UNPRIVILEGED)) {
    endpoint.port = bpf_htons(FTP);
    found = service_of_endpoint(&endpoint);
  }
  if (found == NO_SLOT && settings->every_port > 0) {
    endpoint.port = 0;
    found = service_of_endpoint(&endpoint);
  }
  return found;
}

#endif
