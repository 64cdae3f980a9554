/* tc's longer way for TCP and UDP: whatever the common path says RARE to. It asks for routes, tells clients what went wrong, and knows options,
 * local servers, tunnels, changed tables and connections whose time is over. The order of its questions is IPVS's. */
#ifndef DIRECTORD_RARE_H
#define DIRECTORD_RARE_H
#include "beginners.h"
#include "forward.h"
#include "hops.h"
#include "marks.h"
#include "path-mtu.h"
#include "read.h"
#include "send.h"
#include "tunnel.h"
#include "unanswered.h"

/* Network order, so that the sum of what changes can be taken of any offset in the packet. */
inline_function int write_address(struct __sk_buff *context, const struct packet *packet, bool client, const u32 *address, u16 port) {
  const u32 *old = client ? packet->target : packet->source;
  const bool tcp = packet->protocol == IPPROTO_TCP;
  const u16 old_port = client ? target_port(packet) : source_port(packet);
  const u32 checksum = packet->transport + (tcp ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));
  u64 flags = tcp ? 0 : BPF_F_MARK_MANGLED_0;
  u64 change = change_address(old, address, packet->family);
  change = (change & 0xffffffff) + (change >> 32);
  change = (change & 0xffffffff) + (change >> 32);
  if (bpf_l4_csum_replace(context, checksum, 0, change, BPF_F_PSEUDO_HDR | flags)) return -1;
  if (old_port != port && bpf_l4_csum_replace(context, checksum, old_port, port, sizeof(u16) | flags)) return -1;
  if (bpf_skb_store_bytes(context, packet->transport + (client ? 2 : 0), &port, sizeof(port), 0)) return -1;
  if (packet->family == 6)
    return bpf_skb_store_bytes(context, ETH_HLEN + (client ? offsetof(struct ipv6hdr, daddr) : offsetof(struct ipv6hdr, saddr)), address, 16, 0);
  if (bpf_l3_csum_replace(context, ETH_HLEN + offsetof(struct iphdr, check), old[0], address[0], sizeof(u32))) return -1;
  return bpf_skb_store_bytes(context, ETH_HLEN + (client ? offsetof(struct iphdr, daddr) : offsetof(struct iphdr, saddr)), address, 4, 0);
}

/* ---- to a server */

inline_function int to_local_server(struct __sk_buff *context, const struct packet *packet, u32 method, const struct server *server, u16 port) {
  if (method != MASQ) return TC_ACT_UNSPEC;
  if (server->flags & SERVER_LOOPBACK) return drop_because(DROP_TO_LOOPBACK);
  if (complete_checksum(context, packet) || write_address(context, packet, true, server->address, port)) return TC_ACT_SHOT;
  return TC_ACT_UNSPEC;
}

inline_function int transmit(struct __sk_buff *context, const struct packet *packet, const struct details *details, u32 slot, u32 method,
                             u16 port, u32 now) {
  struct server *server = server_at(slot);
  struct route route = {};
  if (!server) return TC_ACT_SHOT;
  if (method == LOCAL || server->flags & SERVER_LOCAL) return to_local_server(context, packet, method, server, port);
  u32 found = find_route(context, server->family, server->address, second_of(now), &route);
  if (found == ROUTE_LOCAL) return to_local_server(context, packet, method, server, port);
  if (found == ROUTE_NONE) {
    count_drop(DROP_NO_ROUTE);
    return tell(context, TELL_HOST_UNREACHABLE, 0, NO_SLOT);
  }
  const u32 mtu = mtu_to(server, route.hop.mtu, now);
  server->hop = route.hop;
  server->hop.mtu = mtu;
  const u32 counted = method == MASQ ? NO_SLOT : slot;
  if (packet->ttl <= 1) return tell(context, TELL_TIME_EXCEEDED, 0, counted);
  if (method == TUNNEL) return into_tunnel(context, packet, details, slot, server, &route, now);
  if (decrement_ttl(context, packet)) return TC_ACT_SHOT;
  if (!may_go(context, packet, details->dont_fragment, mtu, details->most)) return tell(context, TELL_TOO_BIG, mtu, counted);
  if (method == MASQ && (complete_checksum(context, packet) || write_address(context, packet, true, server->address, port))) return TC_ACT_SHOT;
  return send_or_cut(context, packet, mtu, details->most, &route);
}

/* ---- to a client */

/* The virtual address is this host's too, and only from loopback does the host take packets from an address of its own. */
inline_function int to_own_client(struct __sk_buff *context) {
  const u8 loopback[2 * ETH_ALEN] = {};
  if (bpf_skb_store_bytes(context, 0, loopback, sizeof(loopback), 0)) return TC_ACT_SHOT;
  return bpf_redirect(LOOPBACK, BPF_F_INGRESS);
}

inline_function int transmit_reply(struct __sk_buff *context, const int family, const struct settings *settings, const struct packet *packet,
                                   const struct details *details, u32 reference, u32 now) {
  struct flow *reply = flow_at(family, reference);
  struct flow *forward = reply ? flow_at(family, reply->peer) : NULL;
  struct route route = {};
  if (!forward) return TC_ACT_SHOT;
  if (packet->ttl <= 1) return tell(context, TELL_TIME_EXCEEDED, 0, NO_SLOT);
  u32 found = find_route(context, family, packet->target, four_seconds_of(now), &route);
  if (found == ROUTE_NONE) return drop_because(DROP_NO_ROUTE);
  if (found == ROUTE_FOUND && !may_go(context, packet, details->dont_fragment, route.hop.mtu, details->most))
    return tell(context, TELL_TOO_BIG, route.hop.mtu, NO_SLOT);
  u32 address[4];
  const u16 port = reply->new_port;
  copy_address(address, family == 4 ? &reply->new_address : ((struct flow6 *)reply)->new_address, family);
  reply->hop = route.hop;
  count_out(reply->server, packet->length);
  take_out(family, settings, packet, reply, forward, now);
  if (complete_checksum(context, packet) || write_address(context, packet, false, address, port)) return TC_ACT_SHOT;
  if (found == ROUTE_LOCAL) return to_own_client(context);
  if (decrement_ttl(context, packet)) return TC_ACT_SHOT;
  return send_or_cut(context, packet, route.hop.mtu, details->most, &route);
}

/* ---- known flows */

enum carrying { CARRY_ON, CARRY_ANEW, CARRY_DROP };

/* Whether a client's packet belongs to the entry with its key. If not, the entry is to end, or its server was deleted. */
inline_function u32 carries_on(const int family, const struct settings *settings, const struct packet *packet, const struct flow *forward, u32 now) {
  const struct pool_destination *destination = destination_at(forward->server);
  if (!destination) return CARRY_DROP;
  bool ends = is_past(family, forward, now);
  bool is_begun = forward->state != 0;
  if (packet->protocol == IPPROTO_TCP && packet->tcp_flags & TCP_SYN && settings->conn_reuse_mode != 0 && is_begun)
    ends = ends || (settings->expire_nodest_conn != 0 && destination->weight == 0) || is_over(settings, forward);
  if (!ends && destination->flags & DESTINATION_AVAILABLE) return CARRY_ON;
  return !ends && settings->expire_nodest_conn == 0 ? CARRY_DROP : CARRY_ANEW;
}

/* The reference of the packet's flow as long as it counts; NO_SLOT for none. CARRY_DROP through `carrying`. */
inline_function u32 known_flow(const int family, const struct settings *settings, const struct packet *packet, u32 now, u32 *carrying) {
  u32 reference = flow_find(family, packet);
  struct flow *flow = flow_at(family, reference);
  *carrying = CARRY_ANEW;
  if (!flow) return NO_SLOT;
  if (flow->flags & FLOW_REPLY) {
    struct flow *forward = flow_at(family, flow->peer);
    if (forward && !is_past(family, forward, now)) return reference;
    end_connection(family, flow->peer);
    return NO_SLOT;
  }
  *carrying = carries_on(family, settings, packet, flow, now);
  if (*carrying == CARRY_ANEW) end_connection(family, reference);
  return *carrying == CARRY_ON ? reference : NO_SLOT;
}

/* A real server of some NAT service sent it, and no connection knows of it. */
inline_function bool is_stray_reply(const struct packet *packet) {
  struct endpoint endpoint = { .port = source_port(packet), .protocol = packet->protocol, .family = packet->family };
  copy_address(endpoint.address, packet->source, packet->family);
  if (bpf_map_lookup_elem(&real_endpoints, &endpoint)) return true;
  endpoint.port = 0;
  return bpf_map_lookup_elem(&real_endpoints, &endpoint) != NULL;
}

inline_function int forward_rare(struct __sk_buff *context, const int family, const struct packet *packet, const struct details *details) {
  const struct settings *settings = the_settings();
  struct placed placed = { .reference = NO_SLOT };
  u32 carrying = CARRY_ANEW;
  if (!settings) return TC_ACT_UNSPEC;
  const u32 now = now_tick(settings);
  u32 reference = known_flow(family, settings, packet, now, &carrying);
  if (carrying == CARRY_DROP) return drop_because(DROP_DESTINATION_DELETED);
  struct flow *flow = flow_at(family, reference);
  if (flow && flow->flags & FLOW_REPLY) return transmit_reply(context, family, settings, packet, details, reference, now);
  if (!flow) {
    if (settings->engines != 0 && begins_connection(context, packet)) bpf_tail_call(context, &steps, STEP_BEGUN);
    if (settings->nat_icmp_send != 0 && is_stray_reply(packet)) {
      if (packet->protocol == IPPROTO_TCP && packet->tcp_flags & TCP_RST) return TC_ACT_UNSPEC;
      count_drop(DROP_UNKNOWN_REPLY);
      if (packet->ttl > 1 && decrement_ttl(context, packet)) return TC_ACT_SHOT;
      return tell(context, TELL_PORT_UNREACHABLE, 0, NO_SLOT);
    }
    switch (place(context, family, false, packet, settings->marks ? mark_of(context, packet) : 0, now, &placed)) {
    case PLACE_MADE:
      reference = placed.reference;
      break;
    case PLACE_ONE_PACKET: {
      struct server *server = server_at(placed.server);
      count_in(placed.server, packet->length);
      return transmit(context, packet, details, placed.server, server ? server->method : MASQ, placed.port, now);
    }
    case PLACE_REFUSE:
      return tell(context, TELL_PORT_UNREACHABLE, 0, NO_SLOT);
    case PLACE_DROP:
      return TC_ACT_SHOT;
    default:
      return TC_ACT_UNSPEC;
    }
    flow = flow_at(family, reference);
  }
  if (!flow) return TC_ACT_SHOT;
  const u32 slot = flow->server;
  const u32 method = flow->flags & FLOW_METHOD;
  const u16 port = flow->new_port;
  count_in(slot, packet->length);
  if (asks_again(packet, flow)) note_unanswered(slot, packet);
  take_in(family, settings, packet, reference, flow, now);
  return transmit(context, packet, details, slot, method, port, now);
}

inline_function int rare(struct __sk_buff *context) {
  struct packet packet = {};
  struct details details = {};
  switch (read_any(context, &packet, &details)) {
  case READ_MALFORMED:
    return drop_because(DROP_MALFORMED);
  case READ_NOT_IP:
    return TC_ACT_UNSPEC;
  }
  if (details.source_routed) return drop_because(DROP_SOURCE_ROUTED);
  if (details.is_fragment) bpf_tail_call(context, &steps, STEP_FRAGMENT);
  if (packet.protocol == (packet.family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) bpf_tail_call(context, &steps, STEP_ICMP);
  if (packet.protocol != IPPROTO_TCP && packet.protocol != IPPROTO_UDP) return TC_ACT_UNSPEC;
  int verdict = packet.family == 4 ? forward_rare(context, 4, &packet, &details) : forward_rare(context, 6, &packet, &details);
  return verdict == TC_ACT_UNSPEC && details.most != 0 ? hand_in(context, &packet, details.most) : verdict;
}

#endif
