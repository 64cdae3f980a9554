/* Datagrams that are longer than frames: their payload is in pages of a store that all CPUs share. Pages are given away in a ring and never
 * given back: who comes so late that the ring has come round finds that a page is not his any more. */
#ifndef DIRECTORD_DATAGRAM_H
#define DIRECTORD_DATAGRAM_H
#include "sum.h"

#define PAGE 2048
#define PAGES 2048
#define PAGES_OF_SHELF 512
#define PAGES_OF_DATAGRAM 33 /* 64 KiB and what a tunnel adds */
#define SHIFT_OF_PAGE 11

/* With room behind the last page, for the verifier knows positions and lengths only apart. */
struct shelf { u8 bytes[PAGES_OF_SHELF * PAGE + PAGE]; };
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PAGES / PAGES_OF_SHELF);
  __type(key, u32);
  __type(value, struct shelf);
} shelves SEC(".maps");

/* How many pages were given away. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, u32);
} pages_given SEC(".maps");

/* Headers that all fragments repeat, and what a tunnel puts before a packet with its headers. */
#define MOST_HEADER 128
#define MOST_PREFIX 256

/* What tc_cut sends: the IP header, `prefix`, then the pages from byte `skip` on. One a CPU, from step to step. */
struct cargo {
  u32 pages[PAGES_OF_DATAGRAM];
  u32 body;   /* bytes in the pages */
  u32 first;  /* offset in the frame of the body's first byte, before a tunnel was put around it */
  u32 skip;
  u32 prefix_length;
  u32 total;  /* bytes to send after the header */
  u32 header_length;
  u32 piece;  /* bytes of each fragment's payload but the last one's */
  u8 header[MOST_HEADER + 8];
  u8 prefix[2 * MOST_PREFIX];
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct cargo);
} cargoes SEC(".maps");

inline_function struct cargo *the_cargo(void) {
  u32 first = 0;
  return bpf_map_lookup_elem(&cargoes, &first);
}

/* ---- pages. They are named by a number that is never 0. */

inline_function u32 new_page(void) {
  u32 first = 0;
  u32 *given = bpf_map_lookup_elem(&pages_given, &first);
  return given ? __sync_fetch_and_add(given, 1) + 1 : 0;
}

inline_function bool is_page_ours(u32 page) {
  u32 first = 0;
  u32 *given = bpf_map_lookup_elem(&pages_given, &first);
  return given && page != 0 && *(volatile u32 *)given - page < PAGES;
}

/* A byte of a page that is ours, with PAGE more of them behind it. */
inline_function u8 *byte_of(u32 page, u32 position) {
  u32 shelf = (page / PAGES_OF_SHELF) % (PAGES / PAGES_OF_SHELF);
  if (!is_page_ours(page)) return NULL;
  struct shelf *found = bpf_map_lookup_elem(&shelves, &shelf);
  u32 at = page % PAGES_OF_SHELF;
  at *= PAGE;
  hide(at); /* added, not combined by bits: kernels before 6.8 lose the bounds then */
  return found && at <= (PAGES_OF_SHELF - 1) * PAGE ? found->bytes + at + position % PAGE : NULL;
}

/* Bytes of the frame into a page. */
once_function int page_in(struct __sk_buff *context, u32 page, u32 position, u32 at, u32 length) {
  u8 *bytes = byte_of(page, position);
  if (!bytes || !is_length(&length, PAGE)) return -1;
  return bpf_skb_load_bytes(context, at, bytes, length);
}

/* Bytes of a page into the frame. */
once_function int page_out(struct __sk_buff *context, u32 page, u32 position, u32 at, u32 length) {
  u8 *bytes = byte_of(page, position);
  if (!bytes || !is_length(&length, PAGE)) return -1;
  return bpf_skb_store_bytes(context, at, bytes, length, BPF_F_RECOMPUTE_CSUM);
}

/* Of the first bytes of a page, and of `initial`; an odd last byte counts as the first of two. The bytes behind them are lost. */
once_function u32 page_sum(u32 page, u32 length, u32 initial) {
  u32 sum = initial;
  for (u32 position = 0; position < PAGE && position < length; position += SUM_PIECE) {
    u8 *bytes = byte_of(page, position);
    u32 piece = length - position;
    if (piece > SUM_PIECE) piece = SUM_PIECE;
    hide(piece);
    if (!bytes || piece > SUM_PIECE) return 0;
    u32 beyond = piece & 3;
    if (beyond != 0) bytes[piece] = 0;
    if (beyond == 1 || beyond == 2) bytes[piece + 1] = 0;
    if (beyond == 1) bytes[piece + 2] = 0;
    sum = folded((u64)bpf_csum_diff(NULL, 0, (u32 *)bytes, (piece + 3) & ~3u, sum));
  }
  return folded(sum);
}

/* Of so many bytes from an offset in the frame on. Those that are not in the frame are in the cargo's pages: then the frame has the first of them. */
once_function u32 sum_of_payload(struct __sk_buff *context, u32 at, u32 length, u32 initial) {
  struct cargo *cargo = the_cargo();
  if (!cargo || at + length <= context->len) return sum_of(context, at, at + length, initial);
  u32 reach = cargo->first + PAGE;
  u32 sum = sum_of(context, at, reach, initial);
  u32 left = at + length - reach;
  for (u32 page = 1; page < PAGES_OF_DATAGRAM; page++) {
    u32 piece = left < PAGE ? left : PAGE;
    if (piece == 0) break;
    sum = page_sum(cargo->pages[page], piece, sum);
    left -= piece;
  }
  return sum;
}

#endif
