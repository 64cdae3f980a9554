/* The commonest fault of an LVS-NAT network: real servers answer, but not through the director, and clients wait. Seen as a SYN that comes again
 * for a connection of which no reply has passed; the daemon tells of it in its log. */
#ifndef DIRECTORD_UNANSWERED_H
#define DIRECTORD_UNANSWERED_H
#include "connection.h"

/* The client's packet has not been taken in yet. */
inline_function bool asks_again(const struct packet *packet, const struct flow *forward) {
  if (packet->protocol != IPPROTO_TCP || !(packet->tcp_flags & TCP_SYN)) return false;
  return forward->state == TCP_SYN_RECV && (forward->flags & (FLOW_METHOD | FLOW_REPLIED)) == MASQ;
}

inline_function void note_unanswered(u32 slot, const struct packet *packet) {
  struct server *server = server_at(slot);
  if (!server) return;
  copy_address(server->unanswered_client, packet->source, packet->family);
  __sync_fetch_and_add(&server->unanswered, 1);
}

#endif
