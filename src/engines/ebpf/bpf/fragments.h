/* Puts fragmented datagrams together before they are looked at, for a later fragment has no ports, and a tunnel or a checksum may need all of it;
 * they go on in fragments no larger than they came in. Judges like Linux: a datagram whose fragments overlap is dropped (RFC 5722, and so for
 * IPv4). Those that are no business of the director's go on as they are from their first fragment on, if that is the first to come. */
#ifndef DIRECTORD_FRAGMENTS_H
#define DIRECTORD_FRAGMENTS_H
#include "datagrams.h"
#include "rare.h"

#define LONGEST 0xffff
/* Of the beginning of a datagram that is put into the frame: as much as anybody looks at. */
#define BEGINNING PAGE

/* ---- whether a fragment fits to the others */

struct piece {
  u32 offset; /* of its payload in the datagram's */
  u32 length; /* of its payload; IPv4's are cut to a multiple of 8 if there are more */
  u32 at;     /* of its payload in the frame */
};

inline_function void piece_of(const struct packet *packet, const struct details *details, struct piece *piece) {
  piece->offset = details->offset;
  piece->at = packet->family == 4 ? packet->transport : details->fragment + 8;
  piece->length = ETH_HLEN + packet->length - piece->at;
  if (packet->family == 4 && details->more_fragments) piece->length &= ~7u;
}

/* It has bytes, all but the last have a multiple of 8, and none is beyond the longest packet. */
inline_function bool is_sound(const struct packet *packet, const struct details *details, const struct piece *piece) {
  if (packet->family == 6 && details->more_fragments && piece->length & 7) return false;
  u32 header = packet->family == 4 ? details->header : 0;
  return piece->length > 0 && piece->length <= LONGEST && header + piece->offset + piece->length <= LONGEST;
}

inline_function u64 mask_of_word(u32 word, u32 from, u32 to) {
  u64 mask = ~0ull;
  if (word == from / 64) mask &= ~0ull << (from % 64);
  if (word == (to - 1) / 64) mask &= ~0ull >> (63 - (to - 1) % 64);
  return mask;
}

enum fit { FIT_NEW, FIT_DUPLICATE, FIT_CONTRADICTION };
enum seen { SEEN_SOME = 1, SEEN_NOT_ALL = 2 };

/* Which of the units from `from` up to `to` that a word stands for are there already. With `take` they are from now on. */
once_function u32 seen_in_word(struct datagram *datagram, u32 word, u32 from, u32 to, u32 take) {
  if (!datagram || word >= UNITS / 64) return 0;
  u64 mask = mask_of_word(word, from, to);
  u64 there = datagram->there[word] & mask;
  if (take) __sync_fetch_and_or(&datagram->there[word], mask);
  return (there != 0 ? SEEN_SOME : 0) | (there != mask ? SEEN_NOT_ALL : 0);
}

once_function u32 seen_of(struct datagram *datagram, u32 offset, u32 length, u32 take) {
  const u32 from = offset / UNIT, to = (offset + length + UNIT - 1) / UNIT;
  u32 seen = 0;
  u32 word = from / 64;
  for (u32 i = 0; i < UNITS / 64; i++) {
    if (word > (to - 1) / 64) break;
    seen |= seen_in_word(datagram, word, from, to, take);
    word++;
  }
  return seen;
}

/* ---- taking one */

/* What of a piece is not kept yet into its page, or as much as belongs to that. @returns 0, or negative */
once_function int keep_page(struct __sk_buff *context, struct datagram *datagram, struct piece *piece) {
  if (!datagram || !piece) return -1;
  const u32 position = piece->offset % PAGE;
  u32 index = piece->offset / PAGE;
  u32 length = PAGE - position;
  if (length > piece->length) length = piece->length;
  if (length == 0) return 0;
  hide(index);
  if (index >= PAGES_OF_DATAGRAM) return -1;
  u32 *page = &datagram->pages[index];
  if (*page == 0) __sync_val_compare_and_swap(page, 0, new_page());
  if (page_in(context, *(volatile u32 *)page, position, piece->at, length)) return -1;
  piece->offset += length;
  piece->at += length;
  piece->length -= length;
  return 0;
}

inline_function int keep_payload(struct __sk_buff *context, struct datagram *datagram, const struct piece *whole) {
  struct piece piece = *whole;
  for (int i = 0; i < PAGES_OF_DATAGRAM; i++)
    if (keep_page(context, datagram, &piece)) return -1;
  return 0;
}

/* Up to the payload of IPv4, up to the fragment header of IPv6. */
static __noinline int keep_header(struct __sk_buff *context, struct datagram *datagram, const struct packet *packet,
                                  const struct details *details) {
  u32 length = packet->family == 4 ? details->header : details->fragment - ETH_HLEN;
  datagram->header_length = length;
  hide(length);
  if (length < 20 || length > MOST_HEADER || bpf_skb_load_bytes(context, ETH_HLEN, datagram->header, length)) return -1;
  if (packet->family == 4) return 0;
  u8 next;
  if (bpf_skb_load_bytes(context, details->fragment, &next, 1)) return -1;
  datagram->protocol = next;
  datagram->pointer = details->fragment_named_at;
  return 0;
}

inline_function u32 take_piece(struct __sk_buff *context, struct datagram *datagram, const struct packet *packet, const struct details *details,
                               const struct piece *piece) {
  const u32 end = piece->offset + piece->length;
  if (details->more_fragments ? datagram->has_end && end > datagram->furthest
                              : end < datagram->furthest || (datagram->has_end && end != datagram->furthest))
    return FIT_CONTRADICTION;
  u32 seen = seen_of(datagram, piece->offset, piece->length, false);
  if (seen & SEEN_SOME) return seen & SEEN_NOT_ALL ? FIT_CONTRADICTION : FIT_DUPLICATE;
  if (keep_payload(context, datagram, piece) || (piece->offset == 0 && keep_header(context, datagram, packet, details))) return FIT_CONTRADICTION;
  if (end > datagram->furthest) datagram->furthest = end;
  if (!details->more_fragments) datagram->has_end = 1;
  if (packet->length > datagram->largest) datagram->largest = packet->length;
  if (packet->family == 4 && details->dont_fragment && packet->length > datagram->largest_with_df) datagram->largest_with_df = packet->length;
  __sync_fetch_and_or(&datagram->marks, 1u << (details->tos & 3));
  seen_of(datagram, piece->offset, piece->length, true);
  __sync_fetch_and_add(&datagram->received, (piece->length + UNIT - 1) / UNIT);
  return FIT_NEW;
}

inline_function bool is_whole(const struct datagram *datagram) {
  u32 units = (datagram->furthest + UNIT - 1) / UNIT;
  return datagram->has_end && *(volatile u32 *)&datagram->received == units;
}

/* ---- the whole */

#define NOT_ECT 1u
#define CONGESTION 8u

inline_function void finish_header4(struct datagram *datagram, u32 length) {
  struct iphdr *ip = (struct iphdr *)datagram->header;
  u32 header = datagram->header_length;
  hide(header);
  if (header > 60) return;
  if (datagram->marks & CONGESTION) ip->tos |= 3;
  ip->tot_len = bpf_htons(header + length);
  /* not a DF that its sender had only on smaller ones */
  ip->frag_off = datagram->largest_with_df == datagram->largest ? bpf_htons(0x4000) : 0;
  ip->check = 0;
  ip->check = ~folded((u64)bpf_csum_diff(NULL, 0, (u32 *)datagram->header, header & ~3u, 0));
}

inline_function void finish_header6(struct datagram *datagram, u32 length) {
  struct ipv6hdr *ip = (struct ipv6hdr *)datagram->header;
  u32 pointer = datagram->pointer;
  if (datagram->marks & CONGESTION) datagram->header[1] |= 0x30;
  ip->payload_len = bpf_htons(datagram->header_length - sizeof(*ip) + length);
  hide(pointer);
  if (pointer < MOST_HEADER) datagram->header[pointer] = datagram->protocol;
}

/* The frame becomes the beginning of the datagram, the cargo its payload. */
static __noinline int assemble(struct __sk_buff *context, struct datagram *datagram, u32 family) {
  struct cargo *cargo = the_cargo();
  u32 body = datagram->furthest;
  u32 header = datagram->header_length;
  if (!cargo || header + body > LONGEST + (family == 4 ? 0 : sizeof(struct ipv6hdr))) return -1;
  if (datagram->marks & NOT_ECT && datagram->marks != NOT_ECT) return -1;
  if (family == 4) finish_header4(datagram, body);
  else finish_header6(datagram, body);
  __builtin_memcpy(cargo->pages, datagram->pages, sizeof(cargo->pages));
  cargo->body = body;
  cargo->first = ETH_HLEN + header;
  u32 beginning = body < BEGINNING ? body : BEGINNING;
  if (bpf_skb_change_tail(context, ETH_HLEN + header + beginning, 0)) return -1;
  hide(header);
  if (header < 20 || header > MOST_HEADER || bpf_skb_store_bytes(context, ETH_HLEN, datagram->header, header, BPF_F_RECOMPUTE_CSUM)) return -1;
  return page_out(context, cargo->pages[0], 0, ETH_HLEN + header, beginning);
}

/* Whether it may be: what forward_rare() says of it when it is whole is what counts. */
inline_function bool may_be_ours(struct __sk_buff *context, const struct settings *settings, const struct packet *packet) {
  if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP) return false;
  if (packet->family == 4 ? flow_find(4, packet) != NO_SLOT : flow_find(6, packet) != NO_SLOT) return true;
  if (find_service(settings, packet, settings->marks ? mark_of(context, packet) : 0) != NO_SLOT) return true;
  return (settings->nat_icmp_send | settings->engines) != 0 && is_stray_reply(packet);
}

/* Later fragments of IPv6 do not say for sure what they are of. */
inline_function bool may_be_transport(const struct packet *packet, const struct details *details) {
  if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP) return true;
  return packet->family == 6 && details->offset > 0 && packet->protocol == IPPROTO_DSTOPTS;
}

enum taken { TAKEN_PASS, TAKEN_DROP, TAKEN_WAIT, TAKEN_WHOLE };

static __noinline u32 take_fragment(struct __sk_buff *context, u32 now) {
  struct packet packet = {};
  struct details details = {};
  struct fragment_key key = {};
  struct piece piece = {};
  const struct settings *settings = the_settings();
  if (!settings || read_any(context, &packet, &details) != READ_DONE) return TAKEN_DROP;
  if (!may_be_transport(&packet, &details)) return TAKEN_PASS;
  piece_of(&packet, &details, &piece);
  if (!is_sound(&packet, &details, &piece)) return TAKEN_DROP;
  key_of_fragment(&packet, &details, &key);
  struct datagram *datagram = datagram_of(&key, now);
  if (!datagram) return TAKEN_DROP;
  if (datagram->state == NOT_OURS) return TAKEN_PASS;
  if (datagram->state != COLLECTING) return TAKEN_DROP;
  if (details.offset == 0 && datagram->received == 0 && !may_be_ours(context, settings, &packet)) {
    datagram->state = NOT_OURS;
    return TAKEN_PASS;
  }
  u32 fit = take_piece(context, datagram, &packet, &details, &piece);
  if (fit == FIT_CONTRADICTION) {
    datagram->state = BROKEN; /* for whoever has it at this moment */
    bpf_map_delete_elem(&datagrams, &key);
  }
  if (fit != FIT_NEW || !is_whole(datagram)) return TAKEN_WAIT;
  if (__sync_val_compare_and_swap(&datagram->state, COLLECTING, DONE) != COLLECTING) return TAKEN_WAIT;
  MOST_OF(context) = datagram->largest;
  int assembled = assemble(context, datagram, packet.family);
  bpf_map_delete_elem(&datagrams, &key);
  return assembled ? TAKEN_DROP : TAKEN_WHOLE;
}

inline_function int fragment(struct __sk_buff *context) {
  const struct settings *settings = the_settings();
  if (!settings) return TC_ACT_UNSPEC;
  switch (take_fragment(context, now_tick(settings))) {
  case TAKEN_PASS:
    return TC_ACT_UNSPEC;
  case TAKEN_DROP:
    return drop_because(DROP_MALFORMED);
  case TAKEN_WAIT:
    return TC_ACT_SHOT;
  }
  bpf_tail_call(context, &steps, STEP_RARE);
  return TC_ACT_SHOT;
}

#endif
