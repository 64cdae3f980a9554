/* The common path, XDP's and tc's: TCP and UDP of known and new flows, NAT, direct routing and plain tunnels. It changes nothing before it
 * knows that it can do all of it; else it says RARE, and tc's longer way (rare.h) does it.
 *
 *   read  ->  the packet's flow  -> of a client:  state, counters -> to_server
 *                                -> of a server:  state, counters -> to_client
 *                                -> none: place() -> as of a client
 */
#ifndef DIRECTORD_FORWARD_H
#define DIRECTORD_FORWARD_H
#include "checksum.h"
#include "context.h"
#include "new-flow.h"
#include "tunnel.h"

/* Of the first eight bytes of an IPv4 header, as a little-endian processor reads them: no fragment, version 4, no options. */
#define IPV4_SHAPE 0xff3f0000000000ffull
#define IPV4_PLAIN 0x45ull
#define UDP_HEADER sizeof(struct udphdr)
#define TCP_HEADER sizeof(struct tcphdr)
#define HEADERS(family) (ETH_HLEN + ((family) == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)))

/* ---- reading. 0, or RARE; PASS_IT for what the director has no business with. */

#define PASS_IT (-3)

inline_function int read_transport(void *data, void *end, const int family, struct packet *packet) {
  void *transport = data + HEADERS(family);
  packet->transport = HEADERS(family);
  if (packet->protocol == IPPROTO_TCP) {
    struct tcphdr *tcp = transport;
    if ((void *)(tcp + 1) > end || tcp->doff < 5 || packet->length < HEADERS(family) - ETH_HLEN + tcp->doff * 4) return RARE;
    packet->ports = *(u32 *)tcp;
    packet->tcp_flags = ((u8 *)tcp)[13];
    packet->checksum = 1;
    return 0;
  }
  struct udphdr *udp = transport;
  if ((void *)(udp + 1) > end) return RARE;
  u32 datagram = bpf_ntohs(udp->len);
  if (datagram < sizeof(*udp) || packet->length < HEADERS(family) - ETH_HLEN + datagram) return RARE;
  packet->ports = *(u32 *)udp;
  packet->tcp_flags = 0;
  packet->checksum = udp->check;
  return 0;
}

inline_function int read4(void *data, void *end, u64 frame, struct packet *packet) {
  struct iphdr *ip = data + ETH_HLEN;
  if ((void *)(ip + 1) > end) return RARE;
  packet->family = 4;
  packet->protocol = ip->protocol;
  packet->ttl = ip->ttl;
  packet->length = bpf_ntohs(ip->tot_len);
  packet->source[0] = ip->saddr;
  packet->target[0] = ip->daddr;
  if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) return ip->protocol == IPPROTO_ICMP ? RARE : PASS_IT;
  if ((*(u64 *)ip & IPV4_SHAPE) != IPV4_PLAIN || ip->ttl <= 1 || packet->length + ETH_HLEN > frame) return RARE;
  return read_transport(data, end, 4, packet);
}

inline_function int read6(void *data, void *end, u64 frame, struct packet *packet) {
  struct ipv6hdr *ip = data + ETH_HLEN;
  if ((void *)(ip + 1) > end) return RARE;
  packet->family = 6;
  packet->protocol = ip->nexthdr;
  packet->ttl = ip->hop_limit;
  packet->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
  copy_address(packet->source, ip->saddr.in6_u.u6_addr32, 6);
  copy_address(packet->target, ip->daddr.in6_u.u6_addr32, 6);
  switch (ip->nexthdr) {
  case IPPROTO_TCP:
  case IPPROTO_UDP:
    break;
  case IPPROTO_ICMPV6:
  case IPPROTO_HOPOPTS:
  case IPPROTO_ROUTING:
  case IPPROTO_FRAGMENT:
  case IPPROTO_DSTOPTS:
    return RARE;
  default:
    return PASS_IT;
  }
  if (*(u8 *)ip >> 4 != 6 || ip->hop_limit <= 1 || packet->length + ETH_HLEN > frame) return RARE;
  return read_transport(data, end, 6, packet);
}

/* The kernel takes no IPv4 header with a wrong checksum. Of known flows nobody asks: it stays wrong on the way. */
inline_function bool is_header_valid(const struct iphdr *ip) {
  const u32 *words = (const u32 *)ip;
  return folded((u64)words[0] + words[1] + words[2] + words[3] + words[4]) == 0xffff;
}

/* ---- rewriting */

/* tc's packets may have no checksum yet, but the sum of their pseudo header for hardware to go on from. Others look so once in 65535 times. */
inline_function bool looks_unfinished(const int family, const struct packet *packet, u16 checksum) {
  const u32 *source = packet->source;
  const u32 *target = packet->target;
  u64 sum = (u64)bpf_htonl(packet->length - (HEADERS(family) - ETH_HLEN)) + bpf_htonl(packet->protocol) + source[0] + target[0];
  if (family == 6) sum += (u64)source[1] + source[2] + source[3] + target[1] + target[2] + target[3];
  return folded(sum + (u16)~checksum) == 0xffff;
}

/* The kernel changes the checksum of what may be unfinished: it knows. `change` is what the addresses do to it, in 32 bits. */
inline_function int change_unfinished(void *context, const int family, const bool tcp, u32 change, u16 old_port, u16 new_port) {
  const u32 at = HEADERS(family) + (tcp ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));
  const u64 flags = tcp ? 0 : BPF_F_MARK_MANGLED_0;
  if (bpf_l4_csum_replace(context, at, 0, change, BPF_F_PSEUDO_HDR | flags)) return -1;
  return old_port == new_port ? 0 : bpf_l4_csum_replace(context, at, old_port, new_port, sizeof(u16) | flags);
}

/* The checksum of TCP or UDP after its addresses and one port changed. */
inline_function int change_checksum(void *context, const bool xdp, const int family, const struct packet *packet, const bool tcp,
                                    u16 *checksum, u64 change, u16 old_port, u16 new_port) {
  if (!xdp) {
    u64 folded32 = (change & 0xffffffff) + (change >> 32);
    folded32 = (folded32 & 0xffffffff) + (folded32 >> 32);
    if (is_merged(context, xdp) || looks_unfinished(family, packet, *checksum))
      return change_unfinished(context, family, tcp, folded32, old_port, new_port);
    bpf_csum_update(context, ~(u32)folded32); /* where the kernel has summed up what came in */
  }
  u16 sum = changed_checksum(*checksum, change + (u16)~old_port + new_port);
  *checksum = tcp || sum ? sum : 0xffff;
  return 0;
}

inline_function int change_transport(void *context, const bool xdp, const int family, const struct packet *packet, u64 change, u16 old_port,
                                     u16 new_port) {
  void *transport = frame_data(context, xdp) + HEADERS(family);
  void *end = frame_end(context, xdp);
  if (packet->protocol == IPPROTO_TCP) {
    struct tcphdr *tcp = transport;
    if ((void *)(tcp + 1) > end) return -1;
    return change_checksum(context, xdp, family, packet, true, &tcp->check, change, old_port, new_port);
  }
  struct udphdr *udp = transport;
  if ((void *)(udp + 1) > end) return -1;
  return change_checksum(context, xdp, family, packet, false, &udp->check, change, old_port, new_port);
}

/* `frame` and hop->to are at multiples of four bytes, or of two where that does no harm. */
inline_function void write_ethernet(void *frame, const struct hop *hop) {
  const u32 *addresses = (const u32 *)hop->to;
  u32 *words = frame;
  words[0] = addresses[0];
  words[1] = addresses[1];
  words[2] = addresses[2];
}

/* TTL and, of NAT, one address and one port. `client` says which: the packet comes from a client, so its target changes. */
inline_function int rewrite(void *context, const bool xdp, const int family, const struct packet *packet, const struct hop *hop,
                            const bool client, const u32 *address, u16 port) {
  const u32 *old = client ? packet->target : packet->source;
  const u16 old_port = client ? target_port(packet) : source_port(packet);
  const u64 change = address ? change_address(old, address, family) : 0;
  if (address && change_transport(context, xdp, family, packet, change, old_port, port)) return -1;
  void *data = frame_data(context, xdp);
  void *end = frame_end(context, xdp);
  void *transport = data + HEADERS(family);
  if (transport + sizeof(u32) > end) return -1;
  write_ethernet(data, hop);
  if (address) ((u16 *)transport)[client ? 1 : 0] = port;
  if (family == 4) {
    struct iphdr *ip = data + ETH_HLEN;
    ip->ttl--;
    if (address) {
      if (client) ip->daddr = *address;
      else ip->saddr = *address;
    }
    ip->check = changed_checksum(ip->check, change + (u16)~bpf_htons(0x0100));
    return 0;
  }
  struct ipv6hdr *ip = data + ETH_HLEN;
  ip->hop_limit--;
  if (address) copy_address(client ? ip->daddr.in6_u.u6_addr32 : ip->saddr.in6_u.u6_addr32, address, 6);
  return 0;
}

/* ---- a client's packet */

/* What was merged of several packets fits if they did, as far as can be seen without reading their options. */
inline_function bool fits(void *context, const bool xdp, const struct packet *packet, u32 mtu) {
  if (likely(packet->length <= mtu)) return true;
  const u32 headers = HEADERS(packet->family) - ETH_HLEN + (packet->protocol == IPPROTO_TCP ? TCP_HEADER : UDP_HEADER);
  return is_merged(context, xdp) && TC_CONTEXT(context)->gso_size + headers <= mtu;
}

/* Tunnels without checksums. What was merged of several packets becomes shorter ones by the overhead. */
inline_function bool is_simple_tunnel(void *context, const bool xdp, const struct settings *settings, const struct packet *packet,
                                      const struct server *server) {
  const u32 length = packet->length + tunnel_overhead(server);
  if (is_summed(server) || (settings->mss_clamp != 0 && packet->tcp_flags & TCP_SYN)) return false;
  if (is_merged(context, xdp)) return packet->protocol == IPPROTO_TCP && length <= 0xffff && fits(context, xdp, packet, server->hop.mtu);
  return length <= server->hop.mtu;
}

/* Whether its server can be reached by the common path at this moment. The way to it is known only while it is a destination, and not for one on
 * this host. */
inline_function bool is_simple(void *context, const bool xdp, const struct settings *settings, const struct packet *packet,
                               const struct server *server, u32 method) {
  if (server->hop.second != settings->second) return false;
  if (xdp && server->hop.interface & HOP_NO_XDP) return false;
  if (likely(method == MASQ)) return packet->checksum != 0 && fits(context, xdp, packet, server->hop.mtu);
  if (method == TUNNEL) return is_simple_tunnel(context, xdp, settings, packet, server);
  return method == DIRECT && fits(context, xdp, packet, server->hop.mtu);
}

/* What the outer header takes from the IP header. */
inline_function u32 traits_of(void *context, const bool xdp, const int family, const struct settings *settings) {
  void *data = frame_data(context, xdp);
  u32 traits = is_merged(context, xdp) ? TRAIT_SHRINK : 0;
  if (data + HEADERS(family) > frame_end(context, xdp)) return traits;
  if (family == 6) return traits | ((bpf_ntohs(*(u16 *)(data + ETH_HLEN)) >> 4) & TRAIT_TOS);
  const struct iphdr *ip = data + ETH_HLEN;
  bool dont_fragment = ip->frag_off & bpf_htons(0x4000) && settings->pmtu_disc != 0;
  return traits | ip->tos | (dont_fragment ? TRAIT_DONT_FRAGMENT : 0);
}

/* The frame, which is ready for its way to the server, gets the tunnel's headers. */
inline_function int wrap_frame(void *context, const bool xdp, const struct packet *packet, u32 slot, u32 traits) {
  return xdp ? wrap_in_xdp(XDP_CONTEXT(context), packet, slot, traits) : wrap(TC_CONTEXT(context), packet, slot, traits);
}

/* State and time. A SYN of a known flow is rare, but for the first packet of a new one. */
inline_function void take_in(const int family, const struct settings *settings, const struct packet *packet, u32 reference,
                             struct flow *forward, u32 now) {
  if (packet->protocol == IPPROTO_TCP) {
    bool quiet = forward->state == TCP_ESTABLISHED && (packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) == TCP_ACK;
    if (likely(quiet)) {
      if (now - forward->seen <= FRESH && forward->timeout == settings->tcp_timeouts[TCP_ESTABLISHED]) return;
      forward->timeout = settings->tcp_timeouts[TCP_ESTABLISHED];
      forward->seen = now;
      if (likely(reference >> 30 == FULL)) return;
    }
    forward->seen = now;
    step(family, settings, reference, forward, (forward->flags & FLOW_METHOD) == MASQ ? INPUT : INPUT_ONLY, packet->tcp_flags);
    return;
  }
  if (now - forward->seen > FRESH || forward->timeout != settings->udp_timeout) {
    forward->timeout = settings->udp_timeout;
    forward->seen = now;
  }
  if (likely(reference >> 30 == FULL)) return;
  if (forward->state != UDP_NEW) confirm(family, reference);
  else forward->state = UDP_BEGUN;
}

inline_function int to_server(void *context, const bool xdp, const int family, struct settings *settings, const struct packet *packet,
                              struct flow *forward, u32 reference, bool is_new, u32 now) {
  struct server *server = server_at(forward->server);
  if (!server) return leave(xdp);
  if (!is_new) {
    if (packet->tcp_flags & TCP_SYN) return leave(xdp);
    if (now - forward->seen > FRESH && is_past(family, forward, now)) return leave(xdp);
  }
  u32 method = forward->flags & FLOW_METHOD;
  if (!is_simple(context, xdp, settings, packet, server, method)) return leave(xdp);
  u16 port = forward->new_port;
  u32 slot = forward->server;
  count_in(slot, packet->length);
  take_in(family, settings, packet, reference, forward, now);
  u32 traits = method == TUNNEL ? traits_of(context, xdp, family, settings) : 0;
  const u32 *address = method == MASQ ? server->address : NULL;
  hide(address); /* kernels before 6.8 do not know the method again when it is asked for */
  if (rewrite(context, xdp, family, packet, &server->hop, true, address, port)) return drop(xdp);
  if (method == TUNNEL && wrap_frame(context, xdp, packet, slot, traits)) return drop(xdp);
  return send_to(context, xdp, server->hop.interface);
}

/* ---- a server's packet */

inline_function void take_out(const int family, const struct settings *settings, const struct packet *packet, struct flow *reply,
                              struct flow *forward, u32 now) {
  u32 reference = reply->peer;
  reply->seen = now;
  if (!(forward->flags & FLOW_REPLIED)) set_flag(forward, FLOW_REPLIED);
  if (!(reply->flags & FLOW_REPLIED)) set_flag(reply, FLOW_REPLIED);
  if (packet->protocol == IPPROTO_TCP) {
    step(family, settings, reference, forward, OUTPUT, packet->tcp_flags);
    reply->timeout = forward->timeout;
    return;
  }
  reply->timeout = forward->timeout = settings->udp_timeout;
  set_template_flag(family, forward, FLOW_ASSURED);
  confirm(family, reference);
}

inline_function int to_client(void *context, const bool xdp, const int family, const struct settings *settings, const struct packet *packet,
                              struct flow *reply, u32 reference, u32 now) {
  if (reply->hop.second != settings->four_seconds || !fits(context, xdp, packet, reply->hop.mtu)) return leave(xdp);
  if (xdp && reply->hop.interface & HOP_NO_XDP) return leave(xdp);
  if (packet->checksum == 0) return leave(xdp);
  const struct hop hop = reply->hop;
  const u16 port = reply->new_port;
  u32 address[4];
  copy_address(address, family == 4 ? &reply->new_address : ((struct flow6 *)reply)->new_address, family);
  const bool tcp = packet->protocol == IPPROTO_TCP;
  const bool quiet = tcp
    ? reply->state == TCP_ESTABLISHED && (packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) == TCP_ACK &&
      reply->timeout == settings->tcp_timeouts[TCP_ESTABLISHED]
    : reply->timeout == settings->udp_timeout;
  /* a quiet one has nothing to say to the forward flow, which is another cache line */
  if (unlikely(!quiet || !(reply->flags & FLOW_REPLIED) || reference >> 30 != FULL || has_passed(now, reply->seen, reply->timeout))) {
    struct flow *forward = flow_at(family, reply->peer);
    if (!forward || is_past(family, forward, now)) return leave(xdp);
    take_out(family, settings, packet, reply, forward, now);
  } else if (now - reply->seen > FRESH) reply->seen = now;
  count_out(reply->server, packet->length);
  if (rewrite(context, xdp, family, packet, &hop, false, address, port)) return drop(xdp);
  return send_to(context, xdp, hop.interface);
}

/* ---- both */

/* A busy client comes with the port of a connection that is over. */
inline_function bool is_opened_anew(const struct settings *settings, const struct packet *packet, const struct flow *forward) {
  return packet->tcp_flags & TCP_SYN && settings->conn_reuse_mode != 0 && is_over(settings, forward);
}

inline_function int forward_packet(void *context, const bool xdp, const int family, struct settings *settings, const struct packet *packet) {
  const u32 now = now_tick(settings);
  u32 reference;
  struct flow *flow = flow_of(family, packet, &reference);
  if (likely(flow != NULL)) {
    if (flow->flags & FLOW_REPLY) return to_client(context, xdp, family, settings, packet, flow, reference, now);
    if (likely(!is_opened_anew(settings, packet, flow)))
      return to_server(context, xdp, family, settings, packet, flow, reference, false, now);
    end_connection(family, reference);
  }
  /* what needs a look at marks, unknown replies or the packet's data, and what a program on this host sends */
  if (settings->marks | settings->nat_icmp_send | settings->engines || (!xdp && TC_CONTEXT(context)->ifindex == LOOPBACK)) return leave(xdp);
  if (family == 4) {
    struct iphdr *ip = frame_data(context, xdp) + ETH_HLEN;
    if ((void *)(ip + 1) > frame_end(context, xdp) || !is_header_valid(ip)) return leave(xdp);
  }
  struct placed placed;
  switch (place(context, family, true, packet, 0, now, &placed)) {
  case PLACE_MADE:
    flow = flow_at(family, placed.reference);
    return flow ? to_server(context, xdp, family, settings, packet, flow, placed.reference, true, now) : drop(xdp);
  case PLACE_DROP:
    return drop(xdp);
  case PLACE_PASS:
    return pass(xdp);
  case PLACE_REFUSE:
    return refuse(xdp);
  default:
    return leave(xdp);
  }
}

inline_function int forward(void *context, const bool xdp, struct settings *settings) {
  void *data = frame_data(context, xdp);
  void *end = frame_end(context, xdp);
  struct packet packet;
  if (data + ETH_HLEN > end || !is_for_this_host(context, xdp, settings, data)) return pass(xdp);
  u16 type = ((struct ethhdr *)data)->h_proto;
  if (type == bpf_htons(ETH_P_IP)) {
    if (settings->services4 == 0) return pass(xdp);
    int read = read4(data, end, frame_length(context, xdp, data, end), &packet);
    if (read != 0) return read == RARE ? leave(xdp) : pass(xdp);
    return forward_packet(context, xdp, 4, settings, &packet);
  }
  if (type != bpf_htons(ETH_P_IPV6) || settings->services6 == 0) return pass(xdp);
  int read = read6(data, end, frame_length(context, xdp, data, end), &packet);
  if (read != 0) return read == RARE ? leave(xdp) : pass(xdp);
  return forward_packet(context, xdp, 6, settings, &packet);
}

#endif
