/* Tunnels: IP in IP (RFC 2003, RFC 2473), GUE (generic UDP encapsulation, version 0) and GRE (RFC 2784), each over IPv4 or IPv6, with the
 * outer header fields that Linux gives them; and the checksum that NAT gives UDP packets that came without one. */
#ifndef DIRECTORD_TUNNEL_H
#define DIRECTORD_TUNNEL_H
#include "datagram.h"
#include "hops.h"
#include "path-mtu.h"
#include "read.h"
#include "send.h"
#include "sum.h"

struct gue { struct udphdr udp; u8 version, protocol; u16 flags; };
struct gre { u16 flags, protocol, checksum, reserved; };
#define GRE_CHECKSUM bpf_htons(0x8000)
#define GRE_SHORT 4 /* bytes of its header without a checksum */

/* A tunnel does not tell a smaller MTU than this (RFC 791). */
#define LEAST_MTU 68
#define ECN 3
#define ECN_CAPABLE 2
/* Options of TCP. */
#define TCP_NO_OPERATION 1
#define TCP_LARGEST_SEGMENT 2
/* Where Linux takes its own source ports from: ip_local_port_range. */
#define FIRST_PORT 32768
#define PORTS (60999 - FIRST_PORT)

/* What goes before the packet: at the front of the bytes the IP header, then the tunnel's. */
struct outer {
  union {
    struct iphdr ip4;
    struct ipv6hdr ip6;
    u32 words[10];
  };
  union {
    struct gue gue;
    struct gre gre;
  };
  u32 header;   /* bytes of the IP header */
  u32 overhead; /* of both */
};

inline_function u32 pseudo_sum4(const u32 *source, const u32 *target, u32 length, u32 protocol) {
  return folded((u64)source[0] + target[0] + bpf_htons(protocol) + bpf_htons(length));
}

/* ---- UDP without a checksum */

inline_function u32 pseudo_sum_of(const struct packet *packet, u32 length) {
  return packet->family == 4 ? pseudo_sum4(packet->source, packet->target, length, packet->protocol)
                             : pseudo_sum6(packet->source, packet->target, length, packet->protocol);
}

/* NAT gives UDP packets that came without a checksum one, as IPVS does. @returns 0, or negative */
once_function int complete_checksum(struct __sk_buff *context, const struct packet *packet) {
  struct udphdr udp;
  if (!packet) return -1;
  if (packet->protocol != IPPROTO_UDP) return 0;
  if (bpf_skb_load_bytes(context, packet->transport, &udp, sizeof(udp))) return -1;
  if (udp.check != 0) return 0;
  u32 length = bpf_ntohs(udp.len);
  u32 sum = sum_of_payload(context, packet->transport, length, pseudo_sum_of(packet, length));
  udp.check = sum == 0xffff ? 0xffff : ~sum;
  return bpf_skb_store_bytes(context, packet->transport + offsetof(struct udphdr, check), &udp.check, sizeof(udp.check), BPF_F_RECOMPUTE_CSUM);
}

/* ---- the outer headers */

inline_function u32 tunnel_overhead(const struct server *server) {
  u32 header = server->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  if (server->tunnel == TUNNEL_GUE) return header + sizeof(struct gue);
  if (server->tunnel == TUNNEL_GRE) return header + (server->tunnel_checksum ? sizeof(struct gre) : GRE_SHORT);
  return header;
}

inline_function u8 protocol_inside(u32 family) { return family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6; }

/* The same for all packets of a flow, so that routers and network cards on the way spread flows, not packets. */
inline_function u16 flow_port(const struct packet *packet) {
  u64 hash = ((u64)packet->ports << 8) ^ packet->protocol;
#pragma unroll
  for (int word = 0; word < 4; word++) {
    u64 addresses = packet->source[word] ^ ((u64)packet->target[word] << 32);
    hash = ((hash ^ addresses) * 0x9e3779b97f4a7c15ull) ^ (hash >> 32);
  }
  return FIRST_PORT + (((hash >> 32) * PORTS) >> 32);
}

/* Congestion that was experienced so far is the inner header's to tell (RFC 3168, section 9.1.1: the full functionality). */
inline_function u8 outer_tos(u8 tos) { return (tos & ECN) == ECN ? (tos & ~ECN) | ECN_CAPABLE : tos; }

inline_function void write_outer4(struct outer *outer, const struct server *server, u8 protocol, u32 length, u8 ttl, u8 tos, bool dont_fragment,
                                  u32 id) {
  struct iphdr *ip = &outer->ip4;
  *(u8 *)ip = 0x45;
  ip->tos = tos;
  ip->tot_len = bpf_htons(length);
  ip->id = dont_fragment ? 0 : bpf_htons(id);
  ip->frag_off = dont_fragment ? bpf_htons(0x4000) : 0;
  ip->ttl = ttl;
  ip->protocol = protocol;
  ip->check = 0;
  ip->saddr = server->source[0];
  ip->daddr = server->address[0];
  u64 sum = 0;
#pragma unroll
  for (int word = 0; word < 5; word++) sum += outer->words[word];
  ip->check = ~folded(sum);
}

inline_function void write_outer6(struct outer *outer, const struct server *server, u8 protocol, u32 length, u8 ttl, u8 tos) {
  struct ipv6hdr *ip = &outer->ip6;
  outer->words[0] = bpf_htonl(0x60000000 | (u32)tos << 20);
  ip->payload_len = bpf_htons(length - sizeof(*ip));
  ip->nexthdr = protocol;
  ip->hop_limit = ttl;
  copy_address(ip->saddr.in6_u.u6_addr32, server->source, 6);
  copy_address(ip->daddr.in6_u.u6_addr32, server->address, 6);
}

/* `inside`: sum of the packet inside, for tunnels with a checksum. */
inline_function void write_gue(struct outer *outer, const struct server *server, const struct packet *packet, u32 inside) {
  const u32 length = sizeof(struct gue) + packet->length;
  struct gue *gue = &outer->gue;
  gue->udp.source = bpf_htons(flow_port(packet));
  gue->udp.dest = bpf_htons(server->tunnel_port);
  gue->udp.len = bpf_htons(length);
  gue->udp.check = 0;
  gue->version = 0;
  gue->protocol = protocol_inside(packet->family);
  gue->flags = 0;
  if (!server->tunnel_checksum) return;
  const u32 *words = (const u32 *)gue;
  u64 sum = (u64)inside + words[0] + words[1] + words[2];
  sum += server->family == 4 ? pseudo_sum4(server->source, server->address, length, IPPROTO_UDP)
                             : pseudo_sum6(server->source, server->address, length, IPPROTO_UDP);
  u16 folded_sum = folded(sum);
  gue->udp.check = folded_sum == 0xffff ? 0xffff : ~folded_sum;
}

inline_function void write_gre(struct outer *outer, const struct server *server, const struct packet *packet, u32 inside) {
  struct gre *gre = &outer->gre;
  gre->flags = server->tunnel_checksum ? GRE_CHECKSUM : 0;
  gre->protocol = packet->family == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
  gre->reserved = 0;
  gre->checksum = server->tunnel_checksum ? ~folded((u64)inside + gre->flags + gre->protocol) : 0;
}

inline_function u8 tunnel_protocol(const struct server *server, u32 family) {
  if (server->tunnel == TUNNEL_GUE) return IPPROTO_UDP;
  return server->tunnel == TUNNEL_GRE ? IPPROTO_GRE : protocol_inside(family);
}

/* What make_outer() and wrap() are told beside the packet. */
enum trait { TRAIT_TOS = 0xff, TRAIT_DONT_FRAGMENT = 0x100, TRAIT_WILL_BE_CUT = 0x200, TRAIT_SHRINK = 0x400 /* segments, by the tunnel's overhead */ };

/* TTL is the one that the packet inside has got by now. */
inline_function void make_outer(struct outer *outer, const struct server *server, const struct packet *packet, u32 inside, u32 traits) {
  const u32 length = tunnel_overhead(server) + packet->length;
  const u8 protocol = tunnel_protocol(server, packet->family);
  const u8 ttl = packet->ttl - 1;
  const u8 tos = outer_tos(traits & TRAIT_TOS);
  outer->header = server->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  outer->overhead = tunnel_overhead(server);
  if (server->family == 4) write_outer4(outer, server, protocol, length, ttl, tos, traits & TRAIT_DONT_FRAGMENT, next_identification());
  else write_outer6(outer, server, protocol, length, ttl, tos);
  if (server->tunnel == TUNNEL_GUE) write_gue(outer, server, packet, inside);
  else if (server->tunnel == TUNNEL_GRE) write_gre(outer, server, packet, inside);
}

/* ---- around the packet */

/* What the kernel must know to cut packets that were merged of several into segments again. */
inline_function u64 room_flags(const struct server *server, u32 traits) {
  u64 flags = server->family == 4 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
  if (traits & TRAIT_WILL_BE_CUT) return 0;
  if (!(traits & TRAIT_SHRINK)) flags |= BPF_F_ADJ_ROOM_FIXED_GSO;
  if (server->tunnel == TUNNEL_GUE) return flags | BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
  return server->tunnel == TUNNEL_GRE ? flags | BPF_F_ADJ_ROOM_ENCAP_L4_GRE : flags;
}

inline_function int put_outer(struct __sk_buff *context, const struct outer *outer) {
  u32 header = outer->header, tunnel = outer->overhead - outer->header;
  u16 type = header == sizeof(struct iphdr) ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
  if (bpf_skb_store_bytes(context, offsetof(struct ethhdr, h_proto), &type, sizeof(type), 0)) return -1;
  if (header == sizeof(struct iphdr)) {
    if (bpf_skb_store_bytes(context, ETH_HLEN, &outer->ip4, sizeof(outer->ip4), BPF_F_RECOMPUTE_CSUM)) return -1;
  } else if (bpf_skb_store_bytes(context, ETH_HLEN, &outer->ip6, sizeof(outer->ip6), BPF_F_RECOMPUTE_CSUM)) return -1;
  switch (tunnel) {
  case GRE_SHORT:
    return bpf_skb_store_bytes(context, ETH_HLEN + header, &outer->gre, GRE_SHORT, BPF_F_RECOMPUTE_CSUM);
  case sizeof(struct gre):
    return bpf_skb_store_bytes(context, ETH_HLEN + header, &outer->gre, sizeof(struct gre), BPF_F_RECOMPUTE_CSUM);
  case sizeof(struct gue):
    return bpf_skb_store_bytes(context, ETH_HLEN + header, &outer->gue, sizeof(struct gue), BPF_F_RECOMPUTE_CSUM);
  default:
    return 0;
  }
}

/* Sum of the packet as it will leave: what has no checksum of its own yet, for hardware to make, has one by then, and all that it covers
 * then sums up to the complement of what stands in its field now. */
inline_function u32 sum_inside(struct __sk_buff *context, const struct packet *packet) {
  const u32 transport = packet->transport;
  const u32 left = ETH_HLEN + packet->length - transport;
  const u32 field = transport + (packet->protocol == IPPROTO_TCP ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));
  u32 sum = sum_of(context, ETH_HLEN, transport, 0);
  u16 checksum;
  if ((packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP) && !bpf_skb_load_bytes(context, field, &checksum, sizeof(checksum)) &&
      checksum == pseudo_sum_of(packet, left))
    return folded((u64)sum + (u16)~checksum);
  return sum_of_payload(context, transport, left, sum);
}

inline_function bool is_summed(const struct server *server) { return server->tunnel_checksum && server->tunnel != TUNNEL_IPIP; }

/* Puts the tunnel to the server in this slot around the packet. */
once_function int wrap(struct __sk_buff *context, const struct packet *packet, u32 slot, u32 traits) {
  struct outer outer;
  const struct server *server = server_at(slot);
  if (!packet || !server) return -1;
  make_outer(&outer, server, packet, is_summed(server) ? sum_inside(context, packet) : 0, traits);
  if (bpf_skb_adjust_room(context, outer.overhead, BPF_ADJ_ROOM_MAC, room_flags(server, traits))) return -1;
  return put_outer(context, &outer);
}

/* The same for tunnels without checksums, at the front of a frame that XDP has; its Ethernet header is made anew, of the server's hop. */
once_function int wrap_in_xdp(struct xdp_md *context, const struct packet *packet, u32 slot, u32 traits) {
  struct outer outer;
  const struct server *server = server_at(slot);
  if (!packet || !server || is_summed(server)) return -1;
  make_outer(&outer, server, packet, 0, traits);
  if (bpf_xdp_adjust_head(context, -(int)outer.overhead)) return -1;
  void *data = frame_data(context, true), *end = frame_end(context, true);
  void *tunnel = data + ETH_HLEN + sizeof(outer.ip4);
  if (tunnel > end) return -1;
  __builtin_memcpy(data, server->hop.to, 2 * ETH_ALEN);
  if (server->family == 4) {
    ((struct ethhdr *)data)->h_proto = bpf_htons(ETH_P_IP);
    __builtin_memcpy(data + ETH_HLEN, &outer.ip4, sizeof(outer.ip4));
  } else {
    ((struct ethhdr *)data)->h_proto = bpf_htons(ETH_P_IPV6);
    tunnel = data + ETH_HLEN + sizeof(outer.ip6);
    if (tunnel > end) return -1;
    __builtin_memcpy(data + ETH_HLEN, &outer.ip6, sizeof(outer.ip6));
  }
  if (server->tunnel == TUNNEL_IPIP) return 0;
  if (tunnel + sizeof(struct gue) > end) return -1;
  if (server->tunnel == TUNNEL_GUE) __builtin_memcpy(tunnel, &outer.gue, sizeof(struct gue));
  else __builtin_memcpy(tunnel, &outer.gre, GRE_SHORT);
  return 0;
}

/* ---- to a server, on the longer way */

/* Type and, in the upper byte, size of the TCP option that begins there; 0 where there is none. */
once_function u32 tcp_option_at(struct __sk_buff *context, u32 at) {
  u8 option[2];
  if (bpf_skb_load_bytes(context, at, option, 1) || option[0] == 0) return 0;
  if (option[0] == TCP_NO_OPERATION) return TCP_NO_OPERATION | 1 << 8;
  if (bpf_skb_load_bytes(context, at, option, 2) || option[1] < 2) return 0;
  return option[0] | option[1] << 8;
}

/* Lowers the largest segment that the client says it takes, in a SYN, to what the way through the tunnel has room for: the server sends no larger
 * ones. What the client sends is bounded by the server's own SYN, which does not pass here. */
once_function int clamp_segments(struct __sk_buff *context, u32 transport, u32 most) {
  u8 offset;
  if (bpf_skb_load_bytes(context, transport + 12, &offset, 1)) return -1;
  const u32 end = transport + (offset >> 4) * 4;
  u32 at = transport + sizeof(struct tcphdr);
  for (int i = 0; i < 20; i++) {
    u32 option = tcp_option_at(context, at);
    if (at + 4 > end || option == 0) return 0;
    if (option == (TCP_LARGEST_SEGMENT | 4 << 8)) break;
    at += option >> 8;
  }
  at += 2;
  u16 old, now = bpf_htons(most);
  if (tcp_option_at(context, at - 2) != (TCP_LARGEST_SEGMENT | 4 << 8)) return 0;
  if (bpf_skb_load_bytes(context, at, &old, sizeof(old)) || bpf_ntohs(old) <= most) return 0;
  /* at an odd offset its bytes count the other way round */
  const bool odd = (at - transport) & 1;
  const u32 checksum = transport + offsetof(struct tcphdr, check);
  if (bpf_l4_csum_replace(context, checksum, odd ? bpf_ntohs(old) : old, odd ? bpf_ntohs(now) : now, sizeof(now))) return -1;
  return bpf_skb_store_bytes(context, at, &now, sizeof(now), 0);
}

inline_function bool must_clamp(const struct settings *settings, const struct packet *packet, const struct details *details) {
  return settings->mss_clamp != 0 && packet->protocol == IPPROTO_TCP && packet->tcp_flags & TCP_SYN && details->most == 0;
}

/* Of packets that were merged the kernel makes segments again, but no checksums of theirs, and none that are much shorter. */
inline_function bool kernel_can_cut(const struct packet *packet, const struct server *server, u32 longest, u32 mtu, u32 overhead) {
  if (packet->protocol != IPPROTO_TCP) return true;
  return !is_summed(server) && longest <= mtu && packet->length + overhead <= 0xffff;
}

inline_function int into_tunnel(struct __sk_buff *context, const struct packet *packet, const struct details *details, u32 slot,
                                struct server *server, struct route *route, u32 now) {
  const struct settings *settings = the_settings();
  const u32 overhead = tunnel_overhead(server);
  const u32 mtu = mtu_to(server, route->hop.mtu, now);
  const u32 inner_mtu = mtu > LEAST_MTU + overhead ? mtu - overhead : LEAST_MTU;
  if (!settings || decrement_ttl(context, packet)) return TC_ACT_SHOT;
  const u32 headers = (packet->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) + sizeof(struct tcphdr);
  if (must_clamp(settings, packet, details) && clamp_segments(context, packet->transport, inner_mtu > headers ? inner_mtu - headers : 1))
    return TC_ACT_SHOT;
  const bool dont_fragment = packet->family == 4 && details->dont_fragment && settings->pmtu_disc != 0;
  u32 traits = details->tos | (dont_fragment ? TRAIT_DONT_FRAGMENT : 0);
  if (is_merged(context, false)) {
    const u32 longest = longest_of(context, packet);
    if (!kernel_can_cut(packet, server, longest, mtu, overhead))
      return cut_merged(context, inner_mtu, packet, slot, traits | TRAIT_WILL_BE_CUT, route);
    if (packet->protocol == IPPROTO_TCP && longest > inner_mtu) traits |= TRAIT_SHRINK;
    return wrap(context, packet, slot, traits) ? TC_ACT_SHOT : send_by(context, route);
  }
  if (packet->length > inner_mtu && (packet->family == 6 || dont_fragment)) return tell(context, TELL_TOO_BIG, inner_mtu, slot);
  if (packet->length + overhead > 0xffff + (server->family == 6 ? sizeof(struct ipv6hdr) : 0)) return drop_because(DROP_TOO_LARGE);
  const bool must_cut = details->most != 0 || packet->length + overhead > mtu;
  if (wrap(context, packet, slot, traits | (must_cut ? TRAIT_WILL_BE_CUT : 0))) return TC_ACT_SHOT;
  return must_cut ? cut(context, mtu, details->most, packet, overhead, route) : send_by(context, route);
}

#endif
