/* Internet checksums, changed by what changed (RFC 1624). */
#ifndef DIRECTORD_CHECKSUM_H
#define DIRECTORD_CHECKSUM_H
#include "packet.h"

/* Of at most 36 bits. */
inline_function u16 folded(u64 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

/* What takes the old words out of a sum and puts the new ones in. */
inline_function u64 change32(u32 old, u32 new) { return (u64)(u32)~old + new; }

inline_function u64 change_address(const u32 *old, const u32 *new, int family) {
  u64 sum = change32(old[0], new[0]);
  if (family == 6) sum += change32(old[1], new[1]) + change32(old[2], new[2]) + change32(old[3], new[3]);
  return sum;
}

inline_function u16 changed_checksum(u16 checksum, u64 change) { return ~folded((u64)(u16)~checksum + change); }

#endif
