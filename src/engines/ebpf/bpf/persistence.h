/* Persistence templates: which destination a client, or a client's network, was sent to. As in IPVS they are entries like connections,
 * with client port 0; they live on by a minute at a time while connections refer to them. */
#ifndef DIRECTORD_PERSISTENCE_H
#define DIRECTORD_PERSISTENCE_H
#include "connection.h"
#include "template-data.h"

#define PROLONGATION TICKS_OF_SECONDS(60)
/* Virtual port of a template that no connection may use any more. */
#define INVALID_PORT 0xffff

inline_function void remove_template(const int family, u32 reference, struct flow *template) {
  if (!flow_seize(template)) return;
  count_template(template->server, -1);
  forget_data(family, reference, template);
  flow_free(family, TEMPLATES, template);
}

/* One that ran out goes, unless connections refer to it. */
inline_function bool template_lives(const int family, u32 reference, struct flow *template, u32 now) {
  if (!has_passed(now, template->seen, template->timeout)) return true;
  if (template->new_address == 0) {
    remove_template(family, reference, template);
    return false;
  }
  u32 late = now - template->seen - template->timeout;
  template->seen = now - late % PROLONGATION;
  template->timeout = PROLONGATION;
  return true;
}

/* `client` is room for the client's network, which the key refers to. */
inline_function void template_key(const int family, const struct rules *rules, const struct packet *packet, u32 *client, struct flow_key *key) {
  client[0] = packet->source[0] & rules->netmask[0];
  client[1] = family == 4 ? 0 : packet->source[1] & rules->netmask[1];
  client[2] = family == 4 ? 0 : packet->source[2] & rules->netmask[2];
  client[3] = family == 4 ? 0 : packet->source[3] & rules->netmask[3];
  const u32 *virtual = rules->mark != 0 ? rules->address : packet->target;
  u32 port = rules->mark != 0 || rules->flags & RULES_EVERY_PORT ? 0 : target_port(packet);
  make_key(family, key, client, virtual, port << 16, (rules->mark != 0 ? 0 : packet->protocol) | KEY_TEMPLATE);
}

inline_function bool is_valid_template(const struct settings *settings, const struct flow *template) {
  struct pool_destination *destination = destination_at(template->server);
  if (!destination || !(destination->flags & DESTINATION_AVAILABLE)) return false;
  return settings->expire_quiescent_template == 0 || destination->weight > 0;
}

/* No connection uses it any more; it is listed until its time is over. Its key changes, so it is not displaced from the old one's bucket. */
inline_function void invalidate_template(const int family, struct flow *template, const struct flow_key *key) {
  if (template->displaced) count_spilled(family, TEMPLATES, key->hash, -1);
  template->displaced = 0;
  template->ports = (u32)INVALID_PORT << 16 | (template->ports & 0xffff);
  template->new_port = INVALID_PORT;
}

/* @returns the reference of the template that was found, or NO_SLOT: then schedule, and insert one */
inline_function u32 usable_template(const int family, const struct settings *settings, u32 reference, const struct flow_key *key, u32 now) {
  struct flow *template = flow_at(family, reference);
  if (!template || !template_lives(family, reference, template, now)) return NO_SLOT;
  if (is_valid_template(settings, template)) return reference;
  invalidate_template(family, template, key);
  return NO_SLOT;
}

/* Makes room for a template by removing the oldest of its bucket that no connection refers to. */
inline_function void evict_template(const int family, const struct flow_key *key) {
  u32 bucket = (u32)key->hash & mask_of(family, TEMPLATES);
  void *slots = bucket_at(family, TEMPLATES, bucket);
  if (!slots) return;
  u32 oldest = NO_SLOT;
  u32 since = 0;
#pragma unroll
  for (u32 way = 0; way < WAYS; way++) {
    struct flow *template = slot_of(family, slots, way);
    if (template->life != LIVE || template->new_address != 0 || (oldest != NO_SLOT && (s32)(template->seen - since) >= 0)) continue;
    oldest = reference_of(TEMPLATES, bucket, way);
    since = template->seen;
  }
  struct flow *template = flow_at(family, oldest);
  if (template) remove_template(family, oldest, template);
}

/* `port`: of the destination, in network order. */
inline_function u32 insert_template(const int family, const struct rules *rules, const struct flow_key *key, u32 slot, u16 port, u32 now) {
  u32 reference = flow_claim(family, TEMPLATES, key);
  if (reference == NO_SLOT) {
    evict_template(family, key);
    reference = flow_claim(family, TEMPLATES, key);
  }
  struct flow *template = flow_at(family, reference);
  if (!template) return NO_SLOT;
  template->seen = now;
  template->server = slot;
  template->timeout = rules->persistence;
  template->new_address = 0;
  template->new_port = rules->mark != 0 || rules->flags & RULES_EVERY_PORT ? 0 : port;
  count_template(slot, 1);
  flow_publish(template);
  return reference;
}

#endif
