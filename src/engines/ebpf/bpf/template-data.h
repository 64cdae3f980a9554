/* What a persistence engine found in the packets of a client (`sip`: the Call-ID), by the template that it is the name of. Such a template
 * has a client's port, of no meaning; others have none. */
#ifndef DIRECTORD_TEMPLATE_DATA_H
#define DIRECTORD_TEMPLATE_DATA_H
#include "maps.h"

inline_function struct template_data *data_of(u32 family, u32 reference) {
  struct template_name name = { .reference = reference, .family = family };
  return bpf_map_lookup_elem(&template_data, &name);
}

inline_function bool set_data(u32 family, u32 reference, const struct template_data *data) {
  struct template_name name = { .reference = reference, .family = family };
  return bpf_map_update_elem(&template_data, &name, data, BPF_ANY) == 0;
}

/* Of a template that goes. */
inline_function void forget_data(u32 family, u32 reference, const struct flow *template) {
  if (likely((template->ports & 0xffff) == 0)) return;
  struct template_name name = { .reference = reference, .family = family };
  bpf_map_delete_elem(&template_data, &name);
}

#endif
