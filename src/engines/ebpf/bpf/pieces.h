/* What tc_cut does with frames, whether it cuts them into fragments or into segments: all that follows the header goes into pages, and then
 * a piece at a time into the frame again. */
#ifndef DIRECTORD_PIECES_H
#define DIRECTORD_PIECES_H
#include "datagram.h"
#include "read.h"

#define IPV6_HEADER sizeof(struct ipv6hdr)
/* However small its fragments were: a packet becomes no more than these. */
#define MOST_PIECES 256
#define LARGEST_PIECE 12288 /* what a frame can hold, and 8 times something */
#define PAGES_OF_PIECE (LARGEST_PIECE / PAGE + 3) /* where it lies, with the prefix */

once_function int stash_page(struct __sk_buff *context, u32 index) {
  struct cargo *cargo = the_cargo();
  if (!cargo || index >= PAGES_OF_DATAGRAM) return -1;
  const u32 from = index * PAGE;
  if (from >= cargo->body) return 0;
  const u32 left = cargo->body - from;
  cargo->pages[index] = new_page();
  return page_in(context, cargo->pages[index], 0, ETH_HLEN + cargo->header_length + from, left < PAGE ? left : PAGE);
}

/* All that follows the header. */
static __noinline int stash(struct __sk_buff *context, struct cargo *cargo) {
  const u32 from = ETH_HLEN + cargo->header_length;
  cargo->body = context->len > from ? context->len - from : 0;
  cargo->skip = cargo->prefix_length = 0;
  if (cargo->body > PAGES_OF_DATAGRAM * PAGE) return -1;
  for (u32 i = 0; i < PAGES_OF_DATAGRAM; i++)
    if (stash_page(context, i)) return -1;
  return 0;
}

/* The kernel forgets that hardware was to complete the packet's checksum once the bytes where that begins are taken away. The frame has no content
 * that is still needed. */
static __noinline int forget_checksum(struct __sk_buff *context) {
  if (context->len < 1024 && bpf_skb_change_tail(context, 1024, 0)) return -1;
  return bpf_skb_adjust_room(context, -400, BPF_ADJ_ROOM_MAC, 0) || bpf_skb_adjust_room(context, -8, BPF_ADJ_ROOM_MAC, 0) ? -1 : 0;
}

/* Where tc_cut is in what follows the header, and in the frame. */
struct cursor {
  u32 from;
  u32 at;
  u32 left;
};

/* Some of what follows the header, from the prefix or from a page, into the frame. */
once_function int fill_some(struct __sk_buff *context, struct cursor *cursor) {
  struct cargo *cargo = the_cargo();
  if (!cargo || !cursor) return -1;
  if (cursor->left == 0) return 0;
  u32 from = cursor->from, length;
  if (from < cargo->prefix_length) {
    length = cargo->prefix_length - from;
    if (length > cursor->left) length = cursor->left;
    hide(from);
    if (from >= MOST_PREFIX || !is_length(&length, MOST_PREFIX)) return -1;
    if (bpf_skb_store_bytes(context, cursor->at, cargo->prefix + from, length, BPF_F_RECOMPUTE_CSUM)) return -1;
  } else {
    const u32 place = from - cargo->prefix_length + cargo->skip;
    u32 page = place / PAGE;
    length = PAGE - place % PAGE;
    if (length > cursor->left) length = cursor->left;
    hide(page);
    if (page >= PAGES_OF_DATAGRAM || page_out(context, cargo->pages[page], place % PAGE, cursor->at, length)) return -1;
  }
  cursor->from += length;
  cursor->at += length;
  cursor->left -= length;
  return 0;
}

inline_function int fill(struct __sk_buff *context, u32 from, u32 at, u32 length) {
  struct cursor cursor = { from, at, length };
  for (int i = 0; i < PAGES_OF_PIECE; i++)
    if (fill_some(context, &cursor)) return -1;
  return cursor.left == 0 ? 0 : -1;
}

#endif
