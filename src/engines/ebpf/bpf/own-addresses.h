/* Whether an address is one of this host's own, of any interface. The daemon keeps the list. */
#ifndef DIRECTORD_OWN_ADDRESSES_H
#define DIRECTORD_OWN_ADDRESSES_H
#include "packet.h"

inline_function bool is_own(const u32 *address, int family) {
  u32 key[4];
  copy_address(key, address, family);
  return bpf_map_lookup_elem(&own_addresses, key) != NULL;
}

#endif
