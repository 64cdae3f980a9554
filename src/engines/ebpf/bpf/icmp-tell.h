/* ICMP and ICMPv6 errors of the director itself, made of the packet that they are about (RFC 1812, section 4.3; RFC 4443), with the fields
 * that Linux gives them. Nobody is told of errors about errors, nor of later fragments. */
#ifndef DIRECTORD_ICMP_TELL_H
#define DIRECTORD_ICMP_TELL_H
#include "counts.h"
#include "hops.h"
#include "icmp-limit.h"
#include "icmp-quoted.h"
#include "send.h"
#include "sum.h"

struct error4 { struct iphdr ip; struct icmp icmp; };
struct error6 { struct ipv6hdr ip; struct icmp icmp; };

/* The whole of an error is at most what every host, or every link, can take. */
#define LONGEST4 576
#define LONGEST6 1280
#define OWN_TTL 64

inline_function u8 icmp_type_of(const struct errand *errand, u32 family) {
  if (errand->tell == TELL_AGAIN) return errand->mtu >> 8;
  if (errand->tell == TELL_TIME_EXCEEDED) return family == 4 ? 11 : 3;
  if (family == 4) return 3;
  return errand->tell == TELL_TOO_BIG ? 2 : 1;
}

inline_function u8 icmp_code_of(const struct errand *errand, u32 family) {
  switch (errand->tell) {
  case TELL_AGAIN:
    return errand->mtu;
  case TELL_PORT_UNREACHABLE:
    return family == 4 ? 3 : 4;
  case TELL_HOST_UNREACHABLE:
    return family == 4 ? 1 : 3;
  case TELL_TOO_BIG:
    return family == 4 ? 4 : 0;
  default:
    return 0;
  }
}

inline_function bool is_about_error(struct __sk_buff *context, const struct quoted *about) {
  u8 type;
  if (about->packet.protocol != icmp_protocol(about->packet.family)) return false;
  return bpf_skb_load_bytes(context, about->packet.transport, &type, 1) || is_icmp_error(about->packet.family, type);
}

/* From the address that the packet was sent to, if that is this host's; else from this host's towards the sender. */
inline_function void speaking_address(const struct quoted *about, const struct route *route, u32 *from) {
  u32 interface = route->hop.interface & ~HOP_NO_XDP;
  struct interface *known = bpf_map_lookup_elem(&interfaces, &interface);
  copy_address(from, about->packet.target, 6);
  if (bpf_map_lookup_elem(&own_addresses, from) || !known) return;
  copy_address(from, about->packet.family == 4 ? &known->address4 : known->address6, about->packet.family);
}

/* The packet may have a checksum that is completed when it leaves. That changes what is quoted, so the sum must be of what it will be. Only such
 * a packet's checksums are not touched by bpf_l4_csum_replace.
 * @param field offset of an Internet checksum that is 0 now */
inline_function bool is_partial(struct __sk_buff *context, u32 field) {
  u16 after = 0, zero = 0;
  if (bpf_l4_csum_replace(context, field, 0, 1, 0) || bpf_skb_load_bytes(context, field, &after, sizeof(after))) return false;
  if (after != 0) bpf_skb_store_bytes(context, field, &zero, sizeof(zero), 0);
  return after == 0;
}

/* The checksum of an error whose field is 0. `shift`: how much further back the packet that it is about is now. */
inline_function int seal(struct __sk_buff *context, const struct quoted *about, u32 icmp, u32 shift, u32 initial) {
  const u32 field = icmp + offsetof(struct icmp, checksum);
  const u32 transport = about->packet.transport + shift;
  const u8 protocol = about->packet.protocol;
  bool has_checksum = protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
  u32 at = transport + (protocol == IPPROTO_TCP ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));
  u16 checksum;
  if (has_checksum && at + sizeof(u16) <= context->len && is_partial(context, field)) {
    u16 partial;
    if (bpf_skb_load_bytes(context, at, &partial, sizeof(partial))) return -1;
    checksum = ~folded((u64)sum_of(context, icmp, transport, initial) + (u16)~partial);
  } else checksum = ~sum_of(context, icmp, context->len, initial);
  return bpf_skb_store_bytes(context, field, &checksum, sizeof(checksum), BPF_F_RECOMPUTE_CSUM);
}

static __noinline int write_error4(struct __sk_buff *context, const struct quoted *about, const struct errand *errand, const u32 *from) {
  struct error4 error = {};
  u32 length = context->len - ETH_HLEN;
  *(u8 *)&error.ip = 0x45;
  error.ip.tos = (about->tos & 0x1e) | 0xc0;
  error.ip.tot_len = bpf_htons(length);
  error.ip.id = bpf_htons(next_identification());
  error.ip.ttl = OWN_TTL;
  error.ip.protocol = IPPROTO_ICMP;
  error.ip.saddr = from[0];
  error.ip.daddr = about->packet.source[0];
  error.ip.check = ~folded((u64)bpf_csum_diff(NULL, 0, (u32 *)&error.ip, sizeof(error.ip), 0));
  error.icmp.type = icmp_type_of(errand, 4);
  error.icmp.code = icmp_code_of(errand, 4);
  error.icmp.rest = errand->tell == TELL_TOO_BIG ? bpf_htonl(errand->mtu & 0xffff) : 0;
  if (bpf_skb_store_bytes(context, ETH_HLEN, &error, sizeof(error), BPF_F_RECOMPUTE_CSUM)) return -1;
  return seal(context, about, ETH_HLEN + sizeof(error.ip), sizeof(error), 0);
}

static __noinline int write_error6(struct __sk_buff *context, const struct quoted *about, const struct errand *errand, const u32 *from) {
  struct error6 error = {};
  u32 length = context->len - ETH_HLEN - sizeof(error.ip);
  *(u8 *)&error.ip = 0x60;
  error.ip.payload_len = bpf_htons(length);
  error.ip.nexthdr = IPPROTO_ICMPV6;
  error.ip.hop_limit = OWN_TTL;
  copy_address(error.ip.saddr.in6_u.u6_addr32, from, 6);
  copy_address(error.ip.daddr.in6_u.u6_addr32, about->packet.source, 6);
  error.icmp.type = icmp_type_of(errand, 6);
  error.icmp.code = icmp_code_of(errand, 6);
  error.icmp.rest = errand->tell == TELL_TOO_BIG ? bpf_htonl(errand->mtu) : 0;
  if (bpf_skb_store_bytes(context, ETH_HLEN, &error, sizeof(error), BPF_F_RECOMPUTE_CSUM)) return -1;
  u32 initial = pseudo_sum6(from, about->packet.source, length, IPPROTO_ICMPV6);
  return seal(context, about, ETH_HLEN + sizeof(error.ip), sizeof(error), initial);
}

/* What the packet is of which somebody is told: the interior of a tunnel may be of the other family than the frame. */
inline_function int make_error(struct __sk_buff *context) {
  u32 first = 0;
  struct quoted about = {};
  struct route route = {};
  u32 from[4];
  const struct settings *settings = the_settings();
  const struct errand *errand = bpf_map_lookup_elem(&errands, &first);
  if (!settings || !errand || !read_quoted(context, ETH_HLEN, context->len, &about)) return TC_ACT_SHOT;
  if (about.offset > 0 || is_about_error(context, &about)) return TC_ACT_SHOT;
  const u32 family = about.packet.family;
  const bool is_limited = errand->tell != TELL_TOO_BIG && errand->tell != TELL_AGAIN;
  if (is_limited && !may_tell(about.packet.source, now_tick(settings))) return TC_ACT_SHOT;
  u32 found = find_route(context, family, about.packet.source, 1, &route);
  if (found == ROUTE_NONE) return TC_ACT_SHOT;
  speaking_address(&about, &route, from);

  const u32 headers = family == 4 ? sizeof(struct error4) : sizeof(struct error6);
  const u32 most = (family == 4 ? LONGEST4 : LONGEST6) - headers;
  const u32 length = about.packet.length < most ? about.packet.length : most;
  if (bpf_skb_change_tail(context, ETH_HLEN + length, 0)) return TC_ACT_SHOT;
  if (bpf_skb_adjust_room(context, headers, BPF_ADJ_ROOM_MAC, 0)) return TC_ACT_SHOT;
  if (family == 4 ? write_error4(context, &about, errand, from) : write_error6(context, &about, errand, from)) return TC_ACT_SHOT;
  if (errand->count != NO_SLOT) count_out(errand->count, headers + length);
  return found == ROUTE_LOCAL ? TC_ACT_UNSPEC : send_by(context, &route);
}

#endif
