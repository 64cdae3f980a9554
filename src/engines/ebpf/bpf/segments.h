/* Cuts a TCP packet that was merged of several, by its sender on this machine or by a network card, into segments (TCP segmentation offload), where
 * the kernel would cut it wrongly: they must be shorter than before, or each needs a tunnel with a checksum of its own. */
#ifndef DIRECTORD_SEGMENTS_H
#define DIRECTORD_SEGMENTS_H
#include "pieces.h"
#include "tunnel.h"

#define FLAGS_IN_TCP 13
#define TCP_PUSH 8
#define TCP_CWR 128
#define LONGEST_HEADERS 120 /* what is cut has: IP with options, TCP with options */

/* IP and TCP header into the cargo. */
inline_function int load_headers(struct __sk_buff *context, struct cargo *cargo, const struct errand *errand) {
  u8 offset;
  if (bpf_skb_load_bytes(context, errand->transport + offsetof(struct tcphdr, ack_seq) + sizeof(u32), &offset, 1)) return -1;
  u32 headers = errand->transport - ETH_HLEN + (offset >> 4) * 4;
  cargo->header_length = headers;
  hide(headers);
  if (headers < 40 || headers > LONGEST_HEADERS) return -1;
  return bpf_skb_load_bytes(context, ETH_HLEN, cargo->header, headers);
}

/* @returns 0, or negative: somebody wants one packet to become many */
inline_function int divide_segments(struct cargo *cargo, const struct errand *errand) {
  const u32 headers = cargo->header_length;
  if (errand->mtu < 2 * headers) return -1;
  cargo->total = cargo->body;
  cargo->piece = errand->mtu - headers < LARGEST_PIECE ? errand->mtu - headers : LARGEST_PIECE;
  return cargo->body == 0 ? -1 : 0;
}

inline_function int write_word16(struct __sk_buff *context, u32 at, u16 word) {
  return bpf_skb_store_bytes(context, at, &word, sizeof(word), BPF_F_RECOMPUTE_CSUM);
}

/* What of the IP header is different in each segment. */
inline_function int write_ip(struct __sk_buff *context, const struct cargo *cargo, u32 length, u32 number) {
  if (cargo->header[0] >> 4 == 6) return write_word16(context, ETH_HLEN + offsetof(struct ipv6hdr, payload_len), bpf_htons(length - IPV6_HEADER));
  const struct iphdr *ip = (const struct iphdr *)cargo->header;
  const u32 field = ETH_HLEN + offsetof(struct iphdr, check);
  const u16 now = bpf_htons(length), id = bpf_htons(bpf_ntohs(ip->id) + number);
  if (bpf_l3_csum_replace(context, field, ip->tot_len, now, sizeof(u16))) return -1;
  if (bpf_l3_csum_replace(context, field, ip->id, id, sizeof(u16))) return -1;
  if (write_word16(context, ETH_HLEN + offsetof(struct iphdr, tot_len), now)) return -1;
  return write_word16(context, ETH_HLEN + offsetof(struct iphdr, id), id);
}

inline_function int write_tcp(struct __sk_buff *context, const struct packet *packet, u32 from, bool is_last) {
  const u32 at = packet->transport, end = ETH_HLEN + packet->length;
  u32 sequence;
  u8 flags;
  if (bpf_skb_load_bytes(context, at + offsetof(struct tcphdr, seq), &sequence, sizeof(sequence))) return -1;
  if (bpf_skb_load_bytes(context, at + FLAGS_IN_TCP, &flags, 1)) return -1;
  sequence = bpf_htonl(bpf_ntohl(sequence) + from);
  if (from > 0) flags &= ~TCP_CWR;
  if (!is_last) flags &= ~(TCP_FIN | TCP_PUSH);
  if (bpf_skb_store_bytes(context, at + offsetof(struct tcphdr, seq), &sequence, sizeof(sequence), BPF_F_RECOMPUTE_CSUM)) return -1;
  if (bpf_skb_store_bytes(context, at + FLAGS_IN_TCP, &flags, 1, BPF_F_RECOMPUTE_CSUM)) return -1;
  if (write_word16(context, at + offsetof(struct tcphdr, check), 0)) return -1;
  return write_word16(context, at + offsetof(struct tcphdr, check), ~sum_of(context, at, end, pseudo_sum_of(packet, end - at)));
}

/* Off the frame what wrap() put around the segment before. */
inline_function int unwrap(struct __sk_buff *context, u32 slot) {
  const struct server *server = server_at(slot);
  return server ? bpf_skb_adjust_room(context, -(s32)tunnel_overhead(server), BPF_ADJ_ROOM_MAC, 0) : -1;
}

/* Makes the frame the segment that begins with this byte, in its tunnel. */
once_function int make_segment(struct __sk_buff *context, u32 from, u32 number) {
  u32 first = 0;
  struct cargo *cargo = the_cargo();
  const struct errand *errand = bpf_map_lookup_elem(&errands, &first);
  struct packet packet = {};
  if (!cargo || !errand || from >= cargo->total) return -1;
  u32 length = cargo->total - from;
  const bool is_last = length <= cargo->piece;
  if (!is_last) length = cargo->piece;
  u32 headers = cargo->header_length;
  const u16 type = cargo->header[0] >> 4 == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
  if (number > 0 && errand->slot != NO_SLOT && unwrap(context, errand->slot)) return -1;
  if (bpf_skb_change_tail(context, ETH_HLEN + headers + length, 0)) return -1;
  if (bpf_skb_store_bytes(context, offsetof(struct ethhdr, h_proto), &type, sizeof(type), 0)) return -1;
  if (headers < 40 || !is_length(&headers, LONGEST_HEADERS) || bpf_skb_store_bytes(context, ETH_HLEN, cargo->header, headers, BPF_F_RECOMPUTE_CSUM)) return -1;
  if (fill(context, from, ETH_HLEN + headers, length) || write_ip(context, cargo, headers + length, number)) return -1;
  packet.family = cargo->header[0] >> 4;
  packet.protocol = IPPROTO_TCP;
  packet.length = headers + length;
  packet.transport = errand->transport;
  if (packet.family == 4) {
    const struct iphdr *ip = (const struct iphdr *)cargo->header;
    packet.source[0] = ip->saddr;
    packet.target[0] = ip->daddr;
    packet.ttl = ip->ttl + 1; /* as it came */
  } else {
    const struct ipv6hdr *ip = (const struct ipv6hdr *)cargo->header;
    copy_address(packet.source, ip->saddr.in6_u.u6_addr32, 6);
    copy_address(packet.target, ip->daddr.in6_u.u6_addr32, 6);
    packet.ttl = ip->hop_limit + 1;
  }
  if (bpf_skb_load_bytes(context, packet.transport, &packet.ports, sizeof(packet.ports))) return -1;
  if (write_tcp(context, &packet, from, is_last)) return -1;
  return errand->slot == NO_SLOT ? 0 : wrap(context, &packet, errand->slot, errand->traits);
}

#endif
