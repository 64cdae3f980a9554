/* Reads an IP packet anywhere in a frame that may be cut after eight bytes of its transport header, as ICMP errors quote them. */
#ifndef DIRECTORD_ICMP_QUOTED_H
#define DIRECTORD_ICMP_QUOTED_H
#include "read.h"

#define ICMP_HEADER 8

/* An ICMP or ICMPv6 header. */
struct icmp {
  u8 type;
  u8 code;
  u16 checksum;
  u32 rest; /* MTU: of ICMP in the lower half, on the wire */
};

struct quoted {
  struct packet packet; /* its length: of what is there */
  u32 at;               /* offset of its IP header in the frame */
  u32 header;           /* bytes of the IP header, with extension headers */
  u16 offset;           /* of the fragment, bytes */
  u8 tos;
  u8 dont_fragment;
};

/* More extension headers than anybody sends (RFC 8504, section 5.3). */
#define QUOTED_EXTENSIONS 8

inline_function u8 icmp_protocol(u32 family) { return family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6; }

/* Unreachable, source quench, redirect, time exceeded, parameter problem; of ICMPv6 all below 128. */
inline_function bool is_icmp_error(u32 family, u8 type) {
  if (family == 6) return type < 128;
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

inline_function bool read_quoted4(struct __sk_buff *context, u32 there, struct quoted *quoted) {
  struct iphdr ip;
  if (there < sizeof(ip) || bpf_skb_load_bytes(context, quoted->at, &ip, sizeof(ip))) return false;
  u32 length = bpf_ntohs(ip.tot_len);
  u16 fragment = bpf_ntohs(ip.frag_off);
  quoted->header = (*(u8 *)&ip & 15) * 4;
  if (quoted->header < sizeof(ip) || quoted->header > there || length < quoted->header) return false;
  quoted->packet.family = 4;
  quoted->packet.protocol = ip.protocol;
  quoted->packet.length = length < there ? length : there;
  quoted->packet.source[0] = ip.saddr;
  quoted->packet.target[0] = ip.daddr;
  quoted->tos = ip.tos;
  quoted->dont_fragment = (fragment & 0x4000) != 0;
  quoted->offset = (fragment & 0x1fff) * 8;
  return true;
}

/* Up to the transport header, or to the end of the fragment header of a later fragment. */
inline_function bool read_quoted_extensions(struct __sk_buff *context, u8 next, struct quoted *quoted) {
  u32 at = sizeof(struct ipv6hdr);
  bool is_fragment = false;
#pragma unroll
  for (int i = 0; i < QUOTED_EXTENSIONS; i++) {
    struct { u8 next, length, more[2]; u32 id; } extension;
    if (!is_extension(next) || quoted->offset > 0) break;
    if (at + sizeof(extension) > quoted->packet.length) return false;
    if (bpf_skb_load_bytes(context, quoted->at + at, &extension, sizeof(extension))) return false;
    if ((next == IPPROTO_HOPOPTS && i > 0) || (next == IPPROTO_ROUTING && extension.more[1] != 0)) return false;
    if (next == IPPROTO_FRAGMENT) {
      if (is_fragment) return false;
      is_fragment = true;
      quoted->offset = ((u16)extension.more[0] << 8 | extension.more[1]) & 0xfff8;
      at += sizeof(extension);
    } else at += (extension.length + 1) * 8;
    if (at > quoted->packet.length) return false;
    next = extension.next;
  }
  quoted->header = at;
  quoted->packet.protocol = next;
  return quoted->offset > 0 || !is_extension(next);
}

inline_function bool read_quoted6(struct __sk_buff *context, u32 there, struct quoted *quoted) {
  struct ipv6hdr ip;
  if (there < sizeof(ip) || bpf_skb_load_bytes(context, quoted->at, &ip, sizeof(ip))) return false;
  u32 length = sizeof(ip) + bpf_ntohs(ip.payload_len);
  quoted->packet.family = 6;
  quoted->packet.length = length < there ? length : there;
  copy_address(quoted->packet.source, ip.saddr.in6_u.u6_addr32, 6);
  copy_address(quoted->packet.target, ip.daddr.in6_u.u6_addr32, 6);
  quoted->tos = (bpf_ntohs(*(u16 *)&ip) >> 4) & 0xff;
  quoted->dont_fragment = true;
  quoted->offset = 0;
  return read_quoted_extensions(context, ip.nexthdr, quoted);
}

/* @returns 1, or 0: it is none, or too little of one. `end` is the offset of what follows it. */
once_function int read_quoted(struct __sk_buff *context, u32 at, u32 end, struct quoted *quoted) {
  u8 version;
  if (!quoted || at > 0xffff || end <= at || bpf_skb_load_bytes(context, at, &version, 1)) return 0;
  __builtin_memset(quoted, 0, sizeof(*quoted));
  quoted->at = at;
  version >>= 4;
  bool done = version == 4 ? read_quoted4(context, end - at, quoted) : version == 6 && read_quoted6(context, end - at, quoted);
  if (!done) return 0;
  quoted->packet.transport = at + quoted->header;
  if (quoted->offset > 0) return 1;
  u8 protocol = quoted->packet.protocol;
  bool has_ports = protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
  if (!has_ports && protocol != icmp_protocol(quoted->packet.family)) return 1;
  if (quoted->packet.length - quoted->header < ICMP_HEADER) return 0;
  return !has_ports || !bpf_skb_load_bytes(context, quoted->packet.transport, &quoted->packet.ports, sizeof(u32));
}

#endif
