/* Sends a packet that is ready, but for its length, in fragments (RFC 791, section 3.2; RFC 8200, section 4.5). It is either all in the frame, or
 * a datagram of which the frame has the beginning and pages the rest. The fragments of a packet with DF have DF too, for it may be one that was put
 * together from such fragments. */
#ifndef DIRECTORD_CUT_H
#define DIRECTORD_CUT_H
#include "datagrams.h"
#include "pieces.h"
#include "segments.h"
#include "send.h"

#define FRAGMENT_HEADER 8
#define MORE_FRAGMENTS 0x2000
/* Of options of IPv4. */
#define NO_OPERATION 1
#define COPIED 0x80

/* ---- from the frame into the cargo */

/* Of a datagram only what may have changed, or is new: the headers of a tunnel, and those up to the transport header. */
static __noinline int stash_headers(struct __sk_buff *context, struct cargo *cargo, const struct errand *errand) {
  const u32 from = ETH_HLEN + cargo->header_length;
  const u32 headers = errand->protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
  const u32 to = errand->transport + errand->overhead + headers;
  u32 length = to - from;
  cargo->skip = errand->transport + headers - cargo->first;
  cargo->prefix_length = length;
  if (to <= from || !is_length(&length, MOST_PREFIX) || cargo->skip > cargo->body) return -1;
  return bpf_skb_load_bytes(context, from, cargo->prefix, length);
}

static __noinline u32 header_length_of(struct __sk_buff *context, const struct cargo *cargo, const struct errand *errand) {
  u8 first;
  if (bpf_skb_load_bytes(context, ETH_HLEN, &first, 1)) return 0;
  if (first >> 4 == 4) return (first & 15) * 4;
  return !errand->is_datagram || errand->overhead != 0 ? IPV6_HEADER : cargo->first - ETH_HLEN;
}

/* ---- a fragment */

/* Options that only the first fragment has become no-operations in the others. */
once_function int drop_uncopied_options(void) {
  struct cargo *cargo = the_cargo();
  if (!cargo) return -1;
  u32 end = sizeof(struct iphdr); /* of the option */
  u32 type = 0;
  for (u32 at = sizeof(struct iphdr); at < 60; at++) {
    if (at >= cargo->header_length) break;
    if (at == end) {
      type = cargo->header[at];
      end = at + (type == NO_OPERATION ? 1 : cargo->header[at + 1]);
      /* nonsense from here on: let whoever reads it judge */
      if (type == 0 || end > cargo->header_length || end < at + (type == NO_OPERATION ? 1 : 2)) break;
    }
    hide(end);
    hide(type);
    if (!(type & COPIED)) cargo->header[at] = NO_OPERATION;
  }
  return 0;
}

inline_function void seal4(struct cargo *cargo, u32 length, u32 offset, bool more) {
  struct iphdr *ip = (struct iphdr *)cargo->header;
  u32 header = cargo->header_length;
  hide(header);
  if (header > 60) return;
  ip->tot_len = bpf_htons(header + length);
  ip->frag_off = (ip->frag_off & bpf_htons(0x4000)) | bpf_htons((more ? MORE_FRAGMENTS : 0) | offset >> 3);
  ip->check = 0;
  ip->check = ~folded((u64)bpf_csum_diff(NULL, 0, (u32 *)cargo->header, header & ~3u, 0));
}

inline_function void seal6(struct cargo *cargo, u32 length, u32 offset, bool more) {
  struct ipv6hdr *ip = (struct ipv6hdr *)cargo->header;
  ip->payload_len = bpf_htons(cargo->header_length - IPV6_HEADER + length);
  if (offset == 0 && !more) return;
  u32 at = cargo->header_length - FRAGMENT_HEADER + 2;
  hide(at);
  if (at > MOST_HEADER) return;
  cargo->header[at] = offset >> 8;
  cargo->header[at + 1] = (offset & 0xf8) | (more ? 1 : 0);
}

/* Makes the frame the fragment that begins with this byte. */
once_function int make_piece(struct __sk_buff *context, u32 from) {
  struct cargo *cargo = the_cargo();
  if (!cargo || from >= cargo->total) return -1;
  u32 length = cargo->total - from;
  bool more = length > cargo->piece;
  if (more) length = cargo->piece;
  u32 header = cargo->header_length;
  if (cargo->header[0] >> 4 == 4) {
    if (from != 0 && from == cargo->piece) drop_uncopied_options();
    seal4(cargo, length, from, more);
  } else seal6(cargo, length, from, more);
  if (bpf_skb_change_tail(context, ETH_HLEN + header + length, 0)) return -1;
  hide(header);
  if (header < 20 || header > MOST_HEADER + FRAGMENT_HEADER) return -1;
  if (bpf_skb_store_bytes(context, ETH_HLEN, cargo->header, header, BPF_F_RECOMPUTE_CSUM)) return -1;
  return fill(context, from, ETH_HLEN + header, length);
}

/* ---- the whole */

/* Bytes of each fragment's payload but the last one's. */
inline_function u32 piece_length(u32 total, u32 mtu, u32 header) {
  u32 piece = mtu > header + 8 ? (mtu - header) & ~7u : 8;
  u32 least = (total / MOST_PIECES + 8) & ~7u;
  if (piece < least) piece = least;
  return piece < LARGEST_PIECE ? piece : LARGEST_PIECE;
}

/* A fragment header, unless the packet stays whole. */
once_function int divide(void) {
  u32 first = 0;
  struct cargo *cargo = the_cargo();
  const struct errand *errand = bpf_map_lookup_elem(&errands, &first);
  if (!cargo || !errand) return -1;
  u32 header = cargo->header_length;
  cargo->total = cargo->prefix_length + cargo->body - cargo->skip;
  cargo->piece = LARGEST_PIECE;
  if (header + cargo->total <= errand->mtu && cargo->total <= LARGEST_PIECE) return 0;
  if (cargo->header[0] >> 4 == 4) {
    cargo->piece = piece_length(cargo->total, errand->mtu, header);
    return 0;
  }
  /* only who wants one packet to become many makes such headers */
  if (2 * (header - IPV6_HEADER) > errand->mtu || header < IPV6_HEADER || header > MOST_HEADER) return -1;
  u32 pointer = offsetof(struct ipv6hdr, nexthdr);
  u32 at = IPV6_HEADER;
  for (int i = 0; i < 8 && at < header; i++) {
    pointer = at;
    if (at + 1 >= MOST_HEADER) return -1;
    at += (cargo->header[at + 1] + 1) * 8;
  }
  hide(pointer);
  if (pointer >= MOST_HEADER) return -1;
  cargo->header[header] = cargo->header[pointer];
  cargo->header[header + 1] = 0;
  cargo->header[pointer] = IPPROTO_FRAGMENT;
  *(u32 *)&cargo->header[header + 4] = errand->id != 0 ? errand->id : bpf_htonl(next_identification());
  cargo->header_length = header + FRAGMENT_HEADER;
  cargo->piece = piece_length(cargo->total, errand->mtu, header + FRAGMENT_HEADER);
  return 0;
}

/* Only a packet's checksum that is still to be completed is left alone by bpf_l4_csum_replace. */
inline_function bool is_left_to_hardware(struct __sk_buff *context, u32 field) {
  u16 before = 0, after = 0;
  if (bpf_skb_load_bytes(context, field, &before, sizeof(before)) || bpf_l4_csum_replace(context, field, 0, 1, 0)) return false;
  if (bpf_skb_load_bytes(context, field, &after, sizeof(after)) || before == after) return true;
  bpf_skb_store_bytes(context, field, &before, sizeof(before), 0);
  return false;
}

/* UDP's or TCP's checksum, where that was left to hardware: its field has the sum of what the packet does not say itself. */
static __noinline int complete_partial(struct __sk_buff *context, const struct errand *errand) {
  const bool tcp = errand->protocol == IPPROTO_TCP;
  const u32 transport = errand->transport + errand->overhead;
  const u32 field = transport + (tcp ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));
  if ((!tcp && errand->protocol != IPPROTO_UDP) || !is_left_to_hardware(context, field)) return 0;
  u16 checksum = ~sum_of(context, transport, context->len, 0);
  if (!tcp && checksum == 0) checksum = 0xffff;
  return bpf_skb_store_bytes(context, field, &checksum, sizeof(checksum), 0);
}

/* What comes in once more is not looked at then. */
static __noinline int note_inwards(struct __sk_buff *context, struct errand *errand) {
  struct packet packet = {};
  struct details details = {};
  struct fragment_key key = {};
  const struct settings *settings = the_settings();
  if (!settings || read_any(context, &packet, &details) != READ_DONE) return -1;
  if (packet.family == 6) details.id = errand->id = bpf_htonl(next_identification());
  key_of_fragment(&packet, &details, &key);
  struct datagram *datagram = datagram_of(&key, now_tick(settings));
  if (!datagram) return -1;
  datagram->state = NOT_OURS;
  return 0;
}

inline_function int load_cargo(struct __sk_buff *context, struct cargo *cargo, const struct errand *errand) {
  if (errand->is_merged) return load_headers(context, cargo, errand) || stash(context, cargo) || forget_checksum(context) ? -1 : 0;
  u32 header = header_length_of(context, cargo, errand);
  cargo->header_length = header;
  hide(header);
  if (header < 20 || header > MOST_HEADER || bpf_skb_load_bytes(context, ETH_HLEN, cargo->header, header)) return -1;
  if (errand->is_datagram) return stash_headers(context, cargo, errand);
  return complete_partial(context, errand) || stash(context, cargo) || forget_checksum(context) ? -1 : 0;
}

inline_function int cut_up(struct __sk_buff *context) {
  u32 first = 0;
  struct errand *errand = bpf_map_lookup_elem(&errands, &first);
  struct cargo *cargo = the_cargo();
  struct route route = {};
  if (!errand || !cargo) return TC_ACT_SHOT;
  const bool inwards = errand->inwards, merged = errand->is_merged;
  if (inwards && note_inwards(context, errand)) return TC_ACT_SHOT;
  if (load_cargo(context, cargo, errand) || (merged ? divide_segments(cargo, errand) : divide())) return drop_because(DROP_TOO_LARGE);
  u32 from = 0;
  route.hop = errand->hop;
  route.next.nh_family = errand->next_family;
  copy_address(route.next.ipv6_nh, errand->next, 6);
  for (int i = 0; i <= MOST_PIECES; i++) {
    if (merged ? make_segment(context, from, i) : make_piece(context, from)) return TC_ACT_SHOT;
    from += cargo->piece;
    if (from >= cargo->total) break;
    if (inwards) bpf_clone_redirect(context, context->ifindex, BPF_F_INGRESS);
    else if (route.hop.second != 0) {
      bpf_skb_store_bytes(context, 0, route.hop.to, 2 * ETH_ALEN, 0);
      bpf_clone_redirect(context, route.hop.interface & ~HOP_NO_XDP, 0);
    }
  }
  if (from < cargo->total) return TC_ACT_SHOT;
  if (inwards) return bpf_redirect(context->ifindex, BPF_F_INGRESS);
  /* in a tunnel the kernel may take it for a packet of the other family, and does not find its neighbour */
  if (route.hop.second == 0 || (errand->overhead == 0 && errand->slot == NO_SLOT)) return send_by(context, &route);
  bpf_skb_store_bytes(context, 0, route.hop.to, 2 * ETH_ALEN, 0);
  return bpf_redirect(route.hop.interface & ~HOP_NO_XDP, 0);
}

#endif
