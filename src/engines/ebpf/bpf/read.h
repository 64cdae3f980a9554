/* Reads any IP packet in tc, with options, extension headers, and as a fragment. */
#ifndef DIRECTORD_READ_H
#define DIRECTORD_READ_H
#include "checksum.h"
#include "context.h"

/* What of a packet only the longer way asks for. */
struct details {
  u32 header;     /* bytes of the IP header; of IPv6 with all extensions before the transport header */
  u32 fragment;   /* of IPv6: offset of the fragment header in the frame, or 0 */
  u32 id;         /* of the fragment, network order; IPv4's in the lower half */
  u16 offset;     /* of the fragment, bytes */
  u8 tos;
  u8 next_header_at; /* of IPv6: offset, from the IP header on, of the byte that names the transport protocol */
  u16 most;       /* of a datagram that was put together of fragments, and is longer than the frame: the largest of them; else 0 */
  u8 fragment_named_at; /* of IPv6: offset, from the IP header on, of the byte that names the fragment header */
  bool is_fragment;
  bool more_fragments;
  bool dont_fragment;
  bool source_routed;
};

/* Steps tell each other by this word of the frame: see `most`. */
#define MOST_OF(context) ((context)->cb[0])

enum read_result { READ_DONE, READ_MALFORMED, READ_NOT_IP };

#define EXTENSIONS 8

inline_function u32 read_ports(struct __sk_buff *context, struct packet *packet, const struct details *details) {
  struct { u32 ports; u32 more[2]; u8 offset, flags; u16 window; } tcp;
  u32 left = packet->length - details->header;
  if (details->offset > 0) return READ_DONE;
  if (packet->protocol == IPPROTO_TCP) {
    if (bpf_skb_load_bytes(context, packet->transport, &tcp, sizeof(tcp))) return READ_MALFORMED;
    u32 header = (tcp.offset >> 4) * 4;
    if (header < 20 || left < 20 || (left < header && !details->more_fragments)) return READ_MALFORMED;
    packet->ports = tcp.ports;
    packet->tcp_flags = tcp.flags;
    return READ_DONE;
  }
  if (packet->protocol != IPPROTO_UDP) return READ_DONE;
  struct udphdr udp;
  if (left < sizeof(udp) || bpf_skb_load_bytes(context, packet->transport, &udp, sizeof(udp))) return READ_MALFORMED;
  u32 datagram = bpf_ntohs(udp.len);
  if (!details->more_fragments && (datagram < sizeof(udp) || datagram > left)) return READ_MALFORMED;
  packet->ports = *(u32 *)&udp;
  return READ_DONE;
}

inline_function bool is_source_routed4(struct __sk_buff *context, u32 header) {
  u8 options[40] = {};
  if (header <= 20) return false;
  u32 last = header - 21;
  hide(last);
  if (last >= 40) return false;
  const u32 length = last + 1; /* at least 1: verifiers up to Linux 6.7 do not see that in comparisons */
  if (bpf_skb_load_bytes(context, ETH_HLEN + 20, options, length)) return false;
  u32 at = 0;
  for (int i = 0; i < 40 && at < length && at < 40; i++) {
    u8 type = options[at];
    if (type == 131 || type == 137) return true;
    if (type == 0) return false;
    u32 step = type == 1 || at + 1 >= 40 ? 1 : options[at + 1];
    if (step == 0) return false;
    at += step;
  }
  return false;
}

inline_function bool is_header_sound4(struct __sk_buff *context, u32 header) {
  u32 words[15] = {};
  u32 length = header & 63;
  if (length < 20 || length > 60 || bpf_skb_load_bytes(context, ETH_HLEN, words, length)) return false;
  u64 sum = 0;
#pragma unroll
  for (int i = 0; i < 15; i++) sum += words[i];
  return folded(sum) == 0xffff;
}

inline_function u32 read_any4(struct __sk_buff *context, struct packet *packet, struct details *details) {
  struct iphdr ip;
  if (bpf_skb_load_bytes(context, ETH_HLEN, &ip, sizeof(ip))) return READ_MALFORMED;
  u32 header = (*(u8 *)&ip & 15) * 4;
  packet->length = bpf_ntohs(ip.tot_len);
  if (*(u8 *)&ip >> 4 != 4 || header < sizeof(ip) || packet->length < header) return READ_MALFORMED;
  if (packet->length + ETH_HLEN > context->len && details->most == 0) return READ_MALFORMED;
  if (!is_header_sound4(context, header)) return READ_MALFORMED;
  packet->family = 4;
  packet->protocol = ip.protocol;
  packet->ttl = ip.ttl;
  packet->source[0] = ip.saddr;
  packet->target[0] = ip.daddr;
  packet->transport = ETH_HLEN + header;
  u16 fragment = bpf_ntohs(ip.frag_off);
  details->header = header;
  details->tos = ip.tos;
  details->id = ip.id;
  details->offset = (fragment & 0x1fff) * 8;
  details->more_fragments = fragment & 0x2000;
  details->dont_fragment = fragment & 0x4000;
  details->is_fragment = details->offset > 0 || details->more_fragments;
  details->source_routed = is_source_routed4(context, header);
  return read_ports(context, packet, details);
}

inline_function bool is_extension(u8 header) {
  return header == IPPROTO_HOPOPTS || header == IPPROTO_ROUTING || header == IPPROTO_DSTOPTS || header == IPPROTO_FRAGMENT;
}

inline_function u32 read_any6(struct __sk_buff *context, struct packet *packet, struct details *details) {
  struct ipv6hdr ip;
  if (bpf_skb_load_bytes(context, ETH_HLEN, &ip, sizeof(ip))) return READ_MALFORMED;
  packet->length = sizeof(ip) + bpf_ntohs(ip.payload_len);
  if (*(u8 *)&ip >> 4 != 6 || (packet->length + ETH_HLEN > context->len && details->most == 0)) return READ_MALFORMED;
  packet->family = 6;
  packet->ttl = ip.hop_limit;
  copy_address(packet->source, ip.saddr.in6_u.u6_addr32, 6);
  copy_address(packet->target, ip.daddr.in6_u.u6_addr32, 6);
  details->tos = (bpf_ntohs(*(u16 *)&ip) >> 4) & 0xff;
  details->dont_fragment = true;
  u32 at = sizeof(ip);
  u32 name_at = offsetof(struct ipv6hdr, nexthdr);
  u8 next = ip.nexthdr;
#pragma unroll
  for (int i = 0; i < EXTENSIONS; i++) {
    struct { u8 next, length; u16 offset; u32 id; } extension;
    if (!is_extension(next)) break;
    if (bpf_skb_load_bytes(context, ETH_HLEN + at, &extension, sizeof(extension))) return READ_MALFORMED;
    /* RFC 8200 section 4.3, RFC 5095, and one fragment is not cut again */
    if ((next == IPPROTO_HOPOPTS && i > 0) || (next == IPPROTO_ROUTING && extension.offset & bpf_htons(0xff))) return READ_MALFORMED;
    if (next == IPPROTO_FRAGMENT && details->fragment != 0) return READ_MALFORMED;
    const u32 named_at = name_at;
    name_at = at;
    if (next == IPPROTO_FRAGMENT) {
      u16 offset = bpf_ntohs(extension.offset);
      details->fragment = ETH_HLEN + at;
      details->id = extension.id;
      details->offset = offset & 0xfff8;
      details->more_fragments = offset & 1;
      details->is_fragment = details->offset > 0 || details->more_fragments;
      details->fragment_named_at = named_at;
      at += sizeof(extension);
    } else at += (extension.length + 1) * 8;
    next = extension.next;
    if (details->offset > 0) break;
    if (at > packet->length || (i == EXTENSIONS - 1 && is_extension(next))) return READ_MALFORMED;
  }
  if (at > packet->length) return READ_MALFORMED;
  packet->protocol = next;
  packet->transport = ETH_HLEN + at;
  details->header = at;
  details->next_header_at = name_at;
  return read_ports(context, packet, details);
}

once_function u32 read_any(struct __sk_buff *context, struct packet *packet, struct details *details) {
  if (!packet || !details) return READ_NOT_IP;
  u16 type;
  details->most = MOST_OF(context);
  if (bpf_skb_load_bytes(context, offsetof(struct ethhdr, h_proto), &type, sizeof(type))) return READ_NOT_IP;
  if (type == bpf_htons(ETH_P_IP)) return read_any4(context, packet, details);
  return type == bpf_htons(ETH_P_IPV6) ? read_any6(context, packet, details) : READ_NOT_IP;
}

#endif
