/* Templates of the persistence engine sip: one for each client's network and Call-ID. Their keys have a digest of the data instead of the
 * client's address, and half of another one for its port; the data themselves are compared. */
#ifndef DIRECTORD_ENGINE_TEMPLATES_H
#define DIRECTORD_ENGINE_TEMPLATES_H
#include "call-id.h"
#include "persistence.h"

#define DATA_WORDS (sizeof(struct template_data) / sizeof(u64))

inline_function u64 digest_of(const struct template_data *data) {
  const u64 *words = (const u64 *)data;
  u64 digest = hash_seed;
  for (u32 word = 0; word < DATA_WORDS; word++) digest = mix(digest, words[word]);
  return digest;
}

inline_function bool is_same_data(const struct template_data *one, const struct template_data *other) {
  const u64 *words = (const u64 *)one, *others = (const u64 *)other;
  for (u32 word = 0; word < DATA_WORDS; word++)
    if (words[word] != others[word]) return false;
  return true;
}

/* The key of the template for what was found in the packet. Its addresses are in `data`, for which it is called before `data` is used. */
inline_function void call_key(const int family, const struct rules *rules, const struct packet *packet, struct template_data *data,
                              struct flow_key *key) {
  template_key(family, rules, packet, data->network, key);
  u64 digest = digest_of(data);
  key->source = digest;
  key->ports |= (digest >> 32 & 0xffff) | 1; /* no template without data has a client's port */
  hash_key(key);
}

/* @returns the template's reference, of whatever destination; or NO_SLOT */
inline_function u32 find_call_template(const int family, const struct flow_key *key, const struct template_data *data) {
  u32 reference = find_in_table(family, TEMPLATES, key);
  if (reference == NO_SLOT) return NO_SLOT;
  const struct template_data *found = data_of(family, reference);
  return found && is_same_data(found, data) ? reference : NO_SLOT;
}

inline_function u32 insert_call_template(const int family, const struct rules *rules, const struct flow_key *key,
                                         const struct template_data *data, u32 slot, u32 now) {
  const struct server *server = server_at(slot);
  if (!server) return NO_SLOT;
  u32 reference = insert_template(family, rules, key, slot, bpf_htons(server->port), now);
  struct flow *template = flow_at(family, reference);
  if (!template) return NO_SLOT;
  if (set_data(family, reference, data)) return reference;
  remove_template(family, reference, template);
  return NO_SLOT;
}

/* ---- for a client's packet in which find_call() has found a call */

inline_function u32 recall_call(const int family, const struct packet *packet, u32 service, u32 now) {
  struct flow_key key = {};
  const struct settings *settings = the_settings();
  const struct rules *rules = rules_at(service);
  struct call_search *search = the_search();
  if (!packet || !settings || !rules || !search) return NO_SLOT;
  call_key(family, rules, packet, &search->data, &key);
  u32 reference = usable_template(family, settings, find_call_template(family, &key, &search->data), &key, now);
  struct flow *template = flow_at(family, reference);
  if (template) template->seen = now;
  return reference;
}

inline_function u32 remember_call(const int family, const struct packet *packet, u32 service, u32 slot, u32 now) {
  struct flow_key key = {};
  const struct rules *rules = rules_at(service);
  struct call_search *search = the_search();
  if (!packet || !rules || !search) return NO_SLOT;
  call_key(family, rules, packet, &search->data, &key);
  return insert_call_template(family, rules, &key, &search->data, slot, now);
}

/* The template for a connection that its destination began: that destination is the client's from now on, whichever it had. */
inline_function u32 claim_call(const int family, const struct packet *packet, u32 service, u32 slot, u32 now) {
  struct flow_key key = {};
  const struct settings *settings = the_settings();
  const struct rules *rules = rules_at(service);
  struct call_search *search = the_search();
  if (!packet || !settings || !rules || !search) return NO_SLOT;
  call_key(family, rules, packet, &search->data, &key);
  u32 reference = usable_template(family, settings, find_call_template(family, &key, &search->data), &key, now);
  struct flow *template = flow_at(family, reference);
  if (template && template->server == slot) {
    template->seen = now;
    return reference;
  }
  if (template) invalidate_template(family, template, &key);
  return insert_call_template(family, rules, &key, &search->data, slot, now);
}

once_function u32 recall_call4(const struct packet *packet, u32 service, u32 now) { return recall_call(4, packet, service, now); }
once_function u32 recall_call6(const struct packet *packet, u32 service, u32 now) { return recall_call(6, packet, service, now); }
once_function u32 remember_call4(const struct packet *packet, u32 service, u32 slot, u32 now) { return remember_call(4, packet, service, slot, now); }
once_function u32 remember_call6(const struct packet *packet, u32 service, u32 slot, u32 now) { return remember_call(6, packet, service, slot, now); }
once_function u32 claim_call4(const struct packet *packet, u32 service, u32 slot, u32 now) { return claim_call(4, packet, service, slot, now); }
once_function u32 claim_call6(const struct packet *packet, u32 service, u32 slot, u32 now) { return claim_call(6, packet, service, slot, now); }

#endif
