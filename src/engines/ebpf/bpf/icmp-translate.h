/* ICMP errors about connections of ours, found by the packet that they quote. From a server's side to the client, from a client's side to the
 * server, and from a router on the way of a tunnel, which speaks of the outer packet and is answered for the inner one. Other ICMP, such as
 * echo to a VIP, is the host's own business. */
#ifndef DIRECTORD_ICMP_TRANSLATE_H
#define DIRECTORD_ICMP_TRANSLATE_H
#include "icmp-quoted.h"
#include "path-mtu.h"
#include "rare.h"
#include "sum.h"

/* UDP and GUE; the GRE flag that a checksum follows. */
#define GUE_HEADERS 12
#define GRE_HEADER 4
#define GRE_CHECKSUM_PRESENT 0x80
/* A tunnel's MTU below this is not told on (RFC 791, and the outer header). */
#define LEAST_TOLD 68

/* What tc_icmp read, too large for its stack. */
struct icmp_notes {
  struct packet packet;
  struct details details;
  struct icmp icmp;
  struct quoted quoted;
  struct quoted inner;
  struct packet wanted; /* whose flow is looked for */
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct icmp_notes);
} icmp_notes SEC(".maps");

/* The errors that IPVS forwards: in ICMPv6 all of them, in ICMP these three. */
inline_function bool is_forwarded(u32 family, u8 type) {
  return family == 6 ? is_icmp_error(6, type) : type == 3 || type == 4 || type == 11;
}

/* ---- checksums */

inline_function u32 pseudo_sum(const struct packet *packet, const u32 *source, const u32 *target) {
  if (packet->family == 4) return 0;
  return pseudo_sum6(source, target, packet->length - (packet->transport - ETH_HLEN), IPPROTO_ICMPV6);
}

inline_function bool is_valid(struct __sk_buff *context, const struct packet *packet) {
  u32 pseudo = pseudo_sum(packet, packet->source, packet->target);
  return sum_of(context, packet->transport, ETH_HLEN + packet->length, pseudo) == 0xffff;
}

inline_function int write_sum(struct __sk_buff *context, u32 field, u32 from, u32 to, u32 initial) {
  u16 checksum = 0;
  if (bpf_skb_store_bytes(context, field, &checksum, sizeof(checksum), BPF_F_RECOMPUTE_CSUM)) return -1;
  checksum = ~sum_of(context, from, to, initial);
  return bpf_skb_store_bytes(context, field, &checksum, sizeof(checksum), BPF_F_RECOMPUTE_CSUM);
}

/* ---- translation */

/* Offset in the IP header of its source or target address. */
inline_function u32 address_at(u32 family, bool source) {
  if (family == 4) return source ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr);
  return source ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr);
}

inline_function int write_end(struct __sk_buff *context, u32 family, u32 ip, bool source, const u32 *address) {
  u32 at = ip + address_at(family, source);
  if (family == 4) return bpf_skb_store_bytes(context, at, address, sizeof(u32), BPF_F_RECOMPUTE_CSUM);
  return bpf_skb_store_bytes(context, at, address, 4 * sizeof(u32), BPF_F_RECOMPUTE_CSUM);
}

/* One end of the packet and the opposite one of what it quotes become `address`, there with the port. Of the checksums of the quoted packet only
 * that of the IPv4 header is there for sure. */
inline_function int translate(struct __sk_buff *context, const struct icmp_notes *notes, bool source, const u32 *address, u16 port) {
  const u32 family = notes->packet.family;
  const u32 quoted = notes->quoted.at;
  const u32 header = ETH_HLEN + offsetof(struct iphdr, check);
  const u32 port_at = notes->quoted.packet.transport + (source ? sizeof(u16) : 0);
  if (write_end(context, family, quoted, !source, address)) return -1;
  if (bpf_skb_store_bytes(context, port_at, &port, sizeof(port), BPF_F_RECOMPUTE_CSUM)) return -1;
  if (family == 4) {
    const u32 *old = source ? notes->packet.source : notes->packet.target;
    if (write_sum(context, quoted + offsetof(struct iphdr, check), quoted, quoted + notes->quoted.header, 0)) return -1;
    if (bpf_l3_csum_replace(context, header, old[0], address[0], sizeof(u32))) return -1;
  }
  if (write_end(context, family, ETH_HLEN, source, address)) return -1;
  const u32 *from = source ? address : notes->packet.source;
  const u32 *to = source ? notes->packet.target : address;
  const u32 icmp = notes->packet.transport;
  return write_sum(context, icmp + offsetof(struct icmp, checksum), icmp, ETH_HLEN + notes->packet.length,
                   pseudo_sum(&notes->packet, from, to));
}

/* ---- forwarding. Nobody is told of what happens to an error. */

inline_function int error_to_server(struct __sk_buff *context, const struct icmp_notes *notes, const struct flow *forward, u32 now) {
  struct route route = {};
  const u32 slot = forward->server;
  const u32 method = forward->flags & FLOW_METHOD;
  struct server *server = server_at(slot);
  if (!server) return drop_because(DROP_NO_ROUTE);
  count_in(slot, notes->packet.length);
  if (notes->packet.ttl <= 1) return drop_because(DROP_NO_ROUTE);
  if (method == MASQ && translate(context, notes, false, server->address, forward->new_port)) return TC_ACT_SHOT;
  if (method == LOCAL || server->flags & SERVER_LOCAL) return TC_ACT_UNSPEC;
  u32 found = find_route(context, server->family, server->address, second_of(now), &route);
  if (found == ROUTE_LOCAL) return TC_ACT_UNSPEC;
  if (found == ROUTE_NONE) return drop_because(DROP_NO_ROUTE);
  if (method == TUNNEL) return into_tunnel(context, &notes->packet, &notes->details, slot, server, &route, now);
  if (decrement_ttl(context, &notes->packet)) return TC_ACT_SHOT;
  return send_or_cut(context, &notes->packet, route.hop.mtu, 0, &route);
}

inline_function int error_to_client(struct __sk_buff *context, const int family, const struct icmp_notes *notes, const struct flow *reply) {
  struct route route = {};
  if (notes->packet.ttl <= 1) return TC_ACT_SHOT;
  u32 found = find_route(context, family, notes->packet.target, 1, &route);
  if (found == ROUTE_NONE) return drop_because(DROP_NO_ROUTE);
  count_out(reply->server, notes->packet.length);
  u32 address[4];
  copy_address(address, family == 4 ? &reply->new_address : ((const struct flow6 *)reply)->new_address, family);
  if (translate(context, notes, true, address, reply->new_port)) return TC_ACT_SHOT;
  if (found == ROUTE_LOCAL) return TC_ACT_UNSPEC;
  if (decrement_ttl(context, &notes->packet)) return TC_ACT_SHOT;
  return send_or_cut(context, &notes->packet, route.hop.mtu, 0, &route);
}

/* ---- tunnels */

/* Where the packet in a tunnel's packet begins, or 0. A UDP packet that is no tunnel's is found out by its content. */
inline_function u32 inner_offset(struct __sk_buff *context, const struct quoted *outer) {
  u8 flags;
  const u32 transport = outer->packet.transport;
  if (outer->offset > 0) return 0;
  switch (outer->packet.protocol) {
  case IPPROTO_IPIP:
  case IPPROTO_IPV6:
    return transport;
  case IPPROTO_UDP:
    return transport + GUE_HEADERS;
  case IPPROTO_GRE:
    if (bpf_skb_load_bytes(context, transport, &flags, 1)) return 0;
    return transport + (flags & GRE_CHECKSUM_PRESENT ? 2 * GRE_HEADER : GRE_HEADER);
  default:
    return 0;
  }
}

/* Takes everything before the inner packet off, so that it is the frame's. */
inline_function int uncover(struct __sk_buff *context, u32 outer_family, u32 family, u32 spent) {
  const u16 type = bpf_htons(family == 4 ? ETH_P_IP : ETH_P_IPV6);
  if (outer_family == 4 && family == 6) {
    if (bpf_skb_change_proto(context, type, 0)) return -1;
    spent += sizeof(struct ipv6hdr) - sizeof(struct iphdr);
  } else if (outer_family == 6 && family == 4) {
    if (bpf_skb_change_proto(context, type, 0)) return -1;
    spent -= sizeof(struct ipv6hdr) - sizeof(struct iphdr);
  }
  if (bpf_skb_adjust_room(context, -(s32)spent, BPF_ADJ_ROOM_MAC, 0)) return -1;
  return bpf_skb_store_bytes(context, offsetof(struct ethhdr, h_proto), &type, sizeof(type), 0);
}

/* Flows of the other direction are not meant. */
inline_function struct flow *forward_flow(const int family, const struct packet *packet, u32 now) {
  struct flow *flow = flow_at(family, flow_find(family, packet));
  return flow && !(flow->flags & FLOW_REPLY) && !is_past(family, flow, now) ? flow : NULL;
}

#define NOT_ABOUT_TUNNEL (-4)

/* Learns the path MTU, and tells the client what it means for the packet inside. */
inline_function int about_tunnel(struct __sk_buff *context, struct icmp_notes *notes, u32 now) {
  const struct quoted *outer = &notes->quoted, *inner = &notes->inner;
  const u32 family = notes->packet.family;
  const u32 at = inner_offset(context, outer);
  if (at == 0 || !read_quoted(context, at, ETH_HLEN + notes->packet.length, &notes->inner)) return NOT_ABOUT_TUNNEL;
  const struct flow *flow = inner->packet.family == 4 ? forward_flow(4, &inner->packet, now) : forward_flow(6, &inner->packet, now);
  if (!flow || (flow->flags & FLOW_METHOD) != TUNNEL) return NOT_ABOUT_TUNNEL;
  struct server *server = server_at(flow->server);
  /* who knows no more than the client's address and the virtual one makes it up */
  if (!server || server->family != family || !same_address(server->address, outer->packet.target, family)) return NOT_ABOUT_TUNNEL;
  if (!is_valid(context, &notes->packet)) return drop_because(DROP_BAD_CHECKSUM);
  const u8 type = notes->icmp.type, code = notes->icmp.code;
  const u32 mtu = bpf_ntohl(notes->icmp.rest) & (family == 4 ? 0xffff : 0xffffffff);
  const bool too_big = family == 4 ? type == 3 && code == 4 : type == 2;
  if (too_big) learn_mtu(server, mtu, now);
  if (too_big ? !inner->dont_fragment : inner->packet.family != family) return TC_ACT_SHOT;
  if (uncover(context, family, inner->packet.family, at - ETH_HLEN)) return TC_ACT_SHOT;
  if (!too_big) return tell(context, TELL_AGAIN, (u32)type << 8 | code, NO_SLOT);
  const u32 spent = at - outer->at;
  return tell(context, TELL_TOO_BIG, mtu > LEAST_TOLD + spent ? mtu - spent : mtu, NO_SLOT);
}

/* ---- both */

/* The other side quotes what it got, so its connection is found by the packet that would answer that one: of a client's side it is a packet of
 * the client, of a server's side a reply. */
inline_function int about_connection(struct __sk_buff *context, const int family, struct icmp_notes *notes, u32 now) {
  const struct packet *quoted = &notes->quoted.packet;
  struct packet *wanted = &notes->wanted;
  wanted->family = family;
  wanted->protocol = quoted->protocol;
  wanted->ports = quoted->ports << 16 | quoted->ports >> 16;
  copy_address(wanted->source, quoted->target, family);
  copy_address(wanted->target, quoted->source, family);
  struct flow *flow = flow_at(family, flow_find(family, wanted));
  if (!flow) return TC_ACT_UNSPEC;
  const bool is_reply = flow->flags & FLOW_REPLY;
  const struct flow *forward = is_reply ? flow_at(family, flow->peer) : flow;
  if (!forward || is_past(family, forward, now)) return TC_ACT_UNSPEC;
  if (!is_valid(context, &notes->packet)) return drop_because(DROP_BAD_CHECKSUM);
  return is_reply ? error_to_client(context, family, notes, flow) : error_to_server(context, notes, flow, now);
}

inline_function int translate_icmp(struct __sk_buff *context) {
  u32 first = 0;
  struct icmp_notes *notes = bpf_map_lookup_elem(&icmp_notes, &first);
  const struct settings *settings = the_settings();
  if (!settings || !notes) return TC_ACT_UNSPEC;
  __builtin_memset(&notes->packet, 0, sizeof(notes->packet));
  __builtin_memset(&notes->details, 0, sizeof(notes->details));
  if (read_any(context, &notes->packet, &notes->details) != READ_DONE) return TC_ACT_UNSPEC;
  const struct packet *packet = &notes->packet;
  if (packet->protocol != icmp_protocol(packet->family) || notes->details.is_fragment) return TC_ACT_UNSPEC;
  if (packet->length < packet->transport - ETH_HLEN + ICMP_HEADER) return drop_because(DROP_MALFORMED);
  if (bpf_skb_load_bytes(context, packet->transport, &notes->icmp, sizeof(notes->icmp))) return TC_ACT_SHOT;
  if (!is_forwarded(packet->family, notes->icmp.type)) return TC_ACT_UNSPEC;
  if (is_martian(packet) || is_own(packet->source, packet->family)) return drop_because(DROP_MARTIAN);
  if (!read_quoted(context, packet->transport + ICMP_HEADER, ETH_HLEN + packet->length, &notes->quoted)) return TC_ACT_UNSPEC;
  const u32 now = now_tick(settings);
  int verdict = about_tunnel(context, notes, now);
  if (verdict != NOT_ABOUT_TUNNEL) return verdict;
  const struct quoted *quoted = &notes->quoted;
  if (quoted->offset > 0 || quoted->packet.family != packet->family) return TC_ACT_UNSPEC;
  if (quoted->packet.protocol != IPPROTO_TCP && quoted->packet.protocol != IPPROTO_UDP) return TC_ACT_UNSPEC;
  return packet->family == 4 ? about_connection(context, 4, notes, now) : about_connection(context, 6, notes, now);
}

#endif
