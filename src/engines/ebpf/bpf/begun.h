/* Connections that a server begins: NAT servers of UDP services with a persistence engine may. What such a server sends goes on from the
 * virtual address, though no client has spoken before, or what he said left no entry. */
#ifndef DIRECTORD_BEGUN_H
#define DIRECTORD_BEGUN_H
#include "rare.h"

/* The packet with which the client would have begun the connection. */
inline_function void turn_around(struct packet *asked, const struct packet *packet, const struct rules *rules) {
  copy_address(asked->source, packet->target, packet->family);
  copy_address(asked->target, rules->address, packet->family);
  asked->ports = target_port(packet) | ((u32)bpf_htons(rules->port) << 16);
  asked->family = packet->family;
  asked->protocol = packet->protocol;
}

/* The connection. @returns 0, or a verdict */
inline_function int begin(const int family, const struct settings *settings, const struct packet *packet, const struct packet *asked, u32 slot,
                          u32 service, const struct rules *rules, u32 now) {
  u32 template = rules->persistence == 0 ? NO_SLOT
               : family == 4 ? claim_call4(asked, service, slot, now) : claim_call6(asked, service, slot, now);
  struct flow *held = flow_at(family, template);
  if (rules->flags & RULES_ONE_PACKET) {
    if (held) set_flag(held, FLOW_ASSURED);
    count_new(slot);
    return 0;
  }
  const u32 port = source_port(packet);
  u32 reference = family == 4 ? enter4(asked, slot, port, template, now) : enter6(asked, slot, port, template, now);
  struct flow *forward = flow_at(family, reference);
  struct flow *reply = forward ? flow_at(family, forward->peer) : NULL;
  if (!reply) return drop_because(DROP_TABLE_FULL);
  if (held) __sync_fetch_and_add(&held->new_address, 1);
  count_new(slot);
  take_out(family, settings, packet, reply, forward, now);
  return 0;
}

inline_function int forward_begun(struct __sk_buff *context, const int family, const struct packet *packet, const struct details *details) {
  const struct settings *settings = the_settings();
  struct packet asked = {};
  struct route route = {};
  u32 slot = beginner_of(packet);
  const struct pool_destination *destination = destination_at(slot);
  if (slot == NO_SLOT || !destination || !settings) return TC_ACT_SHOT;
  const u32 service = destination->service;
  const struct rules *rules = rules_at(service);
  if (!rules) return TC_ACT_SHOT;
  const u32 now = now_tick(settings);
  if (packet->ttl <= 1) return tell(context, TELL_TIME_EXCEEDED, 0, NO_SLOT);
  u32 found = find_route(context, family, packet->target, four_seconds_of(now), &route);
  if (found == ROUTE_NONE) return drop_because(DROP_NO_ROUTE);
  if (found == ROUTE_FOUND && !may_go(context, packet, details->dont_fragment, route.hop.mtu, details->most))
    return tell(context, TELL_TOO_BIG, route.hop.mtu, NO_SLOT);
  turn_around(&asked, packet, rules);
  int verdict = begin(family, settings, packet, &asked, slot, service, rules, now);
  if (verdict) return verdict;
  count_out(slot, packet->length);
  if (complete_checksum(context, packet) || write_address(context, packet, false, asked.target, target_port(&asked))) return TC_ACT_SHOT;
  if (found == ROUTE_LOCAL) return TC_ACT_UNSPEC;
  if (decrement_ttl(context, packet)) return TC_ACT_SHOT;
  return send_or_cut(context, packet, route.hop.mtu, details->most, &route);
}

inline_function int begun(struct __sk_buff *context) {
  struct packet packet = {};
  struct details details = {};
  if (read_any(context, &packet, &details) != READ_DONE) return TC_ACT_SHOT;
  int verdict = packet.family == 4 ? forward_begun(context, 4, &packet, &details) : forward_begun(context, 6, &packet, &details);
  return verdict == TC_ACT_UNSPEC && details.most != 0 ? hand_in(context, &packet, details.most) : verdict;
}

#endif
