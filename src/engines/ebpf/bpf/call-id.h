/* The Call-ID of a SIP message (RFC 3261, section 20.8), found where Linux finds it: src/wire/sip-call-id.ts says the same in TypeScript. One
 * pass over the bytes, with a state each. */
#ifndef DIRECTORD_CALL_ID_H
#define DIRECTORD_CALL_ID_H
#include "datagram.h"

/* What a byte is. From COLON on, it may stand in a word. */
enum sip_byte {
  OTHER_BYTE, LINE_FEED, CARRIAGE_RETURN, BLANK, AT_SIGN, COLON, DASH, MARK, LETTER_C, LETTER_A, LETTER_L, LETTER_I, LETTER_D, LETTER,
};

static const u8 sip_bytes[256] = {
  ['\t'] = BLANK, ['\n'] = LINE_FEED, ['\r'] = CARRIAGE_RETURN, [' '] = BLANK, ['@'] = AT_SIGN, [':'] = COLON, ['-'] = DASH,
  ['.'] = MARK, ['!'] = MARK, ['%'] = MARK, ['*'] = MARK, ['_'] = MARK, ['+'] = MARK, ['`'] = MARK, ['\''] = MARK, ['~'] = MARK,
  ['('] = MARK, [')'] = MARK, ['<'] = MARK, ['>'] = MARK, ['\\'] = MARK, ['"'] = MARK, ['/'] = MARK, ['['] = MARK, [']'] = MARK,
  ['?'] = MARK, ['{'] = MARK, ['}'] = MARK, ['0' ... '9'] = MARK,
  ['A'] = LETTER_A, ['B'] = LETTER, ['C'] = LETTER_C, ['D'] = LETTER_D, ['E' ... 'H'] = LETTER, ['I'] = LETTER_I, ['J' ... 'K'] = LETTER,
  ['L'] = LETTER_L, ['M' ... 'Z'] = LETTER,
  ['a'] = LETTER_A, ['b'] = LETTER, ['c'] = LETTER_C, ['d'] = LETTER_D, ['e' ... 'h'] = LETTER, ['i'] = LETTER_I, ['j' ... 'k'] = LETTER,
  ['l'] = LETTER_L, ['m' ... 'z'] = LETTER,
  [0xc0 ... 0xd6] = LETTER, [0xd8 ... 0xf6] = LETTER, [0xf8 ... 0xff] = LETTER, /* of ISO 8859-1 */
};

/* Where in the message a byte is. A value may begin on a line that continues the header's; such a line begins with a blank. */
enum sip_place {
  ANYWHERE,
  CR_SEEN,    /* the line ends, unless a line feed is still to come */
  LINE,       /* its first byte: not taken for the end of that line */
  NAME_C, NAME_CA, NAME_CAL, NAME_CALL, NAME_CALL_, NAME_CALL_I,
  NAME_I,     /* the compact form, if no letter follows */
  NAMED, NAMED_CR, NAMED_FOLD, NAMED_FOLDED,
  VALUE, VALUE_CR, VALUE_FOLD, VALUE_FOLDED, /* behind the colon */
  WORD, WORD_AT, WORD_AT_WORD,
  FAILED,     /* the header is there, and is none: nobody looks further */
  FOUND,
};

#define SIP_PLACES 32
#define SIP_BYTES 16

enum {
  __ = ANYWHERE, CR = CR_SEEN, LN = LINE, N1 = NAME_C, N2, N3, N4, N5, N6, NI, ND, DC = NAMED_CR, DF, DD, VA = VALUE, VC, VF, VD,
  WO = WORD, WA, WW, XX = FAILED, ID,
};

static const u8 sip_places[SIP_PLACES][SIP_BYTES] = {
  /*                other LF CR blank @  :   -  mark  c   a   l   i   d  letter */
  [ANYWHERE] =     { __, LN, CR, __, __, __, __, __, __, __, __, __, __, __ },
  [CR_SEEN] =      { __, LN, __, __, __, __, __, __, N1, __, __, NI, __, __ },
  [LINE] =         { __, __, __, __, __, __, __, __, N1, __, __, NI, __, __ },
  [NAME_C] =       { __, LN, CR, __, __, __, __, __, __, N2, __, __, __, __ },
  [NAME_CA] =      { __, LN, CR, __, __, __, __, __, __, __, N3, __, __, __ },
  [NAME_CAL] =     { __, LN, CR, __, __, __, __, __, __, __, N4, __, __, __ },
  [NAME_CALL] =    { __, LN, CR, __, __, __, N5, __, __, __, __, __, __, __ },
  [NAME_CALL_] =   { __, LN, CR, __, __, __, __, __, __, __, __, N6, __, __ },
  [NAME_CALL_I] =  { __, LN, CR, __, __, __, __, __, __, __, __, __, ND, __ },
  [NAME_I] =       { XX, DF, DC, ND, XX, VA, XX, XX, __, __, __, __, __, __ },
  [NAMED] =        { XX, DF, DC, ND, XX, VA, XX, XX, XX, XX, XX, XX, XX, XX },
  [NAMED_CR] =     { XX, DF, XX, DD, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX },
  [NAMED_FOLD] =   { XX, XX, XX, DD, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX },
  [NAMED_FOLDED] = { XX, XX, XX, DD, XX, VA, XX, XX, XX, XX, XX, XX, XX, XX },
  [VALUE] =        { __, VF, VC, VA, __, WO, WO, WO, WO, WO, WO, WO, WO, WO },
  [VALUE_CR] =     { XX, VF, XX, VD, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX },
  [VALUE_FOLD] =   { XX, XX, XX, VD, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX },
  [VALUE_FOLDED] = { __, LN, CR, VD, __, WO, WO, WO, WO, WO, WO, WO, WO, WO },
  [WORD] =         { XX, ID, ID, XX, WA, WO, WO, WO, WO, WO, WO, WO, WO, WO },
  [WORD_AT] =      { __, LN, CR, __, __, WW, WW, WW, WW, WW, WW, WW, WW, WW },
  [WORD_AT_WORD] = { XX, ID, ID, XX, XX, WW, WW, WW, WW, WW, WW, WW, WW, WW },
};

#define CALL_PIECE 256 /* a page has a whole number of them */
#define CALL_PIECES 258 /* of the largest IP packet */
#define LONGEST_CALL_ID 255

struct call_search {
  struct template_data data; /* the Call-ID; the client's network is for who looks for its template */
  u8 bytes[CALL_PIECE];
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct call_search);
} call_searches SEC(".maps");

inline_function struct call_search *the_search(void) {
  u32 first = 0;
  return bpf_map_lookup_elem(&call_searches, &first);
}

/* A byte of what may be the Call-ID. One that is too long is counted to its end. */
once_function int keep_byte(u32 byte, bool is_first) {
  struct call_search *search = the_search();
  if (!search) return 0;
  struct template_data *data = &search->data;
  if (is_first) {
    __builtin_memset(data->text, 0, sizeof(data->text));
    data->length = 0;
  }
  u32 length = data->length++;
  if (length < sizeof(data->text)) data->text[length] = byte;
  return 0;
}

/* Bytes of the frame, or of a datagram that is longer, which is in the cargo's pages; then `at` is counted from the first of them on. */
inline_function const u8 *bytes_of(struct __sk_buff *context, struct call_search *search, bool paged, u32 at, u32 length) {
  if (!paged) return is_length(&length, CALL_PIECE) && !bpf_skb_load_bytes(context, at, search->bytes, length) ? search->bytes : NULL;
  struct cargo *cargo = the_cargo();
  u32 page = at >> SHIFT_OF_PAGE;
  hide(page);
  return cargo && page < PAGES_OF_DATAGRAM ? byte_of(cargo->pages[page], at) : NULL;
}

/* Through the bytes of a piece. @returns the place of the byte behind it, FAILED or FOUND */
once_function u32 search_piece(struct __sk_buff *context, u32 place, bool paged, u32 from, u32 length) {
  struct call_search *search = the_search();
  const u8 *bytes = search ? bytes_of(context, search, paged, from, length) : NULL;
  if (!bytes) return FAILED;
  for (u32 at = 0; at < CALL_PIECE && at < length; at++) {
    const u8 byte = bytes[at];
    const u32 next = sip_places[place & (SIP_PLACES - 1)][sip_bytes[byte] & (SIP_BYTES - 1)];
    if (next >= FAILED) return next;
    if (next >= WORD) keep_byte(byte, next == WORD && place != WORD);
    place = next;
  }
  return place;
}

/* Looks for the Call-ID from one offset to another one; it is in the_search() then. @returns whether there is one */
once_function int find_call_id(struct __sk_buff *context, u32 from, u32 to) {
  const struct call_search *search = the_search();
  const struct cargo *cargo = the_cargo();
  u32 place = ANYWHERE;
  if (!search || !cargo) return false;
  const bool paged = to > context->len;
  if (paged) {
    from -= cargo->first;
    to -= cargo->first;
  }
  for (u32 piece = 0; piece < CALL_PIECES && from < to && place < FAILED; piece++) {
    u32 length = CALL_PIECE - from % CALL_PIECE;
    if (length > to - from) length = to - from;
    place = search_piece(context, place, paged, from, length);
    from += length;
  }
  return place == FOUND && search->data.length <= LONGEST_CALL_ID;
}

/* What the persistence engine sip finds in a packet. */
inline_function bool find_call(struct __sk_buff *context, const struct packet *packet) {
  return packet->protocol == IPPROTO_UDP && find_call_id(context, packet->transport + sizeof(struct udphdr), ETH_HLEN + packet->length);
}

#endif
