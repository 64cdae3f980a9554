/* What happens to a packet of no connection: is there a service for it, which destination, and the entry in the table. IPVS's rules, in
 * IPVS's order. It reads nothing but struct packet, so XDP and tc share it. */
#ifndef DIRECTORD_NEW_FLOW_H
#define DIRECTORD_NEW_FLOW_H
#include "engine-templates.h"
#include "own-addresses.h"
#include "schedulers.h"
#include "services.h"

enum placing {
  PLACE_PASS,       /* no business of ours */
  PLACE_DROP,       /* counted */
  PLACE_REFUSE,     /* no destination: tell the client */
  PLACE_MADE,       /* there is a connection now */
  PLACE_ONE_PACKET, /* it goes to a destination, and leaves no entry */
};

#define ALWAYS 3

struct placed {
  u32 reference;
  u32 server; /* slot of the destination */
  u16 port;   /* network order */
};

/* RFC 1812, section 5.3.7: nobody outside can have sent it. */
inline_function bool is_martian4(const struct packet *packet) {
  u32 source = bpf_ntohl(packet->source[0]);
  u32 target = bpf_ntohl(packet->target[0]);
  u32 from = source >> 24, to = target >> 24;
  return from == 0 || from == 127 || from >> 4 == 0xe || source == 0xffffffff || to == 0 || to == 127;
}

inline_function bool is_nobody6(u32 third, u32 last) { return third == 0 && (last == 0 || last == bpf_htonl(1)); }

/* RFC 4291, sections 2.5.3 and 2.7. */
inline_function bool is_martian6(const struct packet *packet) {
  const u32 *from = packet->source, *to = packet->target;
  if ((bpf_ntohl(from[0]) >> 24) == 0xff) return true;
  if (from[0] == 0 && from[1] == 0 && (from[2] == bpf_htonl(0xffff) || is_nobody6(from[2], from[3]))) return true;
  return to[0] == 0 && to[1] == 0 && is_nobody6(to[2], to[3]);
}

inline_function bool is_martian(const struct packet *packet) { return packet->family == 4 ? is_martian4(packet) : is_martian6(packet); }

/* Every am_droprate'th new connection, with drop_packet. */
inline_function bool is_dropped(struct settings *settings) {
  if (likely(settings->drop_packet != ALWAYS)) return false;
  if ((s32)__sync_fetch_and_add(&settings->until_drop, -1) > 1) return false;
  settings->until_drop = settings->am_droprate;
  return true;
}

/* The port that the client asked for, unless that is the service's own and the server has another. In network order. */
inline_function u16 server_port(const struct rules *rules, const struct server *server, const struct packet *packet) {
  u16 asked = target_port(packet);
  if (server->port == 0) return asked;
  return rules->persistence != 0 && asked != bpf_htons(rules->port) ? asked : bpf_htons(server->port);
}

/* What the scheduler goes by. @returns whether it is to be asked: no service of another port takes a connection that is not persistent */
inline_function bool client_of(const struct packet *packet, const struct rules *rules, u32 now, struct client *client) {
  bool every_port = rules->persistence != 0 || rules->mark != 0;
  if (!every_port && target_port(packet) != bpf_htons(rules->port)) return false;
  client->port = bpf_ntohs(source_port(packet));
  client->family = packet->family;
  client->seconds = seconds_of(now);
#pragma unroll
  for (int word = 0; word < 4; word++) {
    client->address[word] = word == 0 || packet->family == 6 ? bpf_ntohl(packet->source[word]) : 0;
    client->virtual_address[word] = word == 0 || packet->family == 6 ? bpf_ntohl(packet->target[word]) : 0;
  }
  return true;
}

/* The scheduler's choice, or NO_SLOT. */
once_function u32 choose(const struct packet *packet, u32 service, u32 now) {
  struct rules *rules = rules_at(service);
  struct client client;
  if (!packet || !rules || !client_of(packet, rules, now, &client)) return NO_SLOT;
  return schedule(service, &client);
}

/* The template of the client, or NO_SLOT: then schedule, and remember. */
inline_function u32 recall(const int family, const struct packet *packet, u32 service, u32 now) {
  u32 network[4];
  struct flow_key key = {};
  const struct settings *settings = the_settings();
  const struct rules *rules = rules_at(service);
  if (!packet || !settings || !rules) return NO_SLOT;
  template_key(family, rules, packet, network, &key);
  u32 template = usable_template(family, settings, find_in_table(family, TEMPLATES, &key), &key, now);
  struct flow *found = flow_at(family, template);
  if (found) found->seen = now;
  return template;
}

inline_function u32 remember(const int family, const struct packet *packet, u32 service, u32 slot, u32 now) {
  u32 network[4];
  struct flow_key key = {};
  const struct rules *rules = rules_at(service);
  const struct server *server = server_at(slot);
  if (!packet || !rules || !server) return NO_SLOT;
  template_key(family, rules, packet, network, &key);
  return insert_template(family, rules, &key, slot, bpf_htons(server->port), now);
}

once_function u32 recall4(const struct packet *packet, u32 service, u32 now) { return recall(4, packet, service, now); }
once_function u32 recall6(const struct packet *packet, u32 service, u32 now) { return recall(6, packet, service, now); }
once_function u32 remember4(const struct packet *packet, u32 service, u32 slot, u32 now) { return remember(4, packet, service, slot, now); }
once_function u32 remember6(const struct packet *packet, u32 service, u32 slot, u32 now) { return remember(6, packet, service, slot, now); }

/* Makes room for a half-open connection by removing the oldest of its bucket. */
inline_function void evict_half(const int family, const struct flow_key *key) {
  u32 bucket = (u32)key->hash & mask_of(family, HALF);
  void *slots = bucket_at(family, HALF, bucket);
  if (!slots) return;
  u32 oldest = NO_SLOT;
  u32 since = 0;
#pragma unroll
  for (u32 way = 0; way < WAYS; way++) {
    struct flow *flow = slot_of(family, slots, way);
    if (flow->life != LIVE || (oldest != NO_SLOT && (s32)(flow->seen - since) >= 0)) continue;
    oldest = flow->flags & FLOW_REPLY ? flow->peer : reference_of(HALF, bucket, way);
    since = flow->seen;
  }
  if (oldest != NO_SLOT && oldest >> 30 == HALF) end_connection(family, oldest);
}

inline_function u32 claim_half(const int family, const struct flow_key *key) {
  u32 reference = flow_claim(family, HALF, key);
  if (likely(reference != NO_SLOT)) return reference;
  evict_half(family, key);
  return flow_claim(family, HALF, key);
}

/* The entry of a connection, and of NAT the one of its replies. */
inline_function u32 enter(const int family, const struct packet *packet, u32 slot, u16 port, u32 template, u32 now) {
  struct flow_key key = {};
  const struct settings *settings = the_settings();
  struct server *server = server_at(slot);
  if (!packet || !settings || !server) return NO_SLOT;
  u32 timeout = packet->protocol == IPPROTO_TCP ? settings->new_tcp_timeout : settings->udp_timeout;
  key_of_packet(family, packet, &key);
  u32 reference = claim_half(family, &key);
  struct flow *forward = flow_at(family, reference);
  if (!forward) return NO_SLOT;
  forward->flags = server->method & FLOW_METHOD;
  forward->seen = now;
  forward->server = slot;
  forward->timeout = timeout;
  forward->new_port = port;
  forward->new_address = 0;
  forward->template = template + 1; /* NO_SLOT + 1 is 0 */
  if (server->method == MASQ && server->family == family) {
    make_key(family, &key, server->address, packet->source, port | (packet->ports << 16), packet->protocol);
    u32 answers = claim_half(family, &key);
    struct flow *reply = flow_at(family, answers);
    if (!reply) {
      flow_free(family, HALF, forward);
      return NO_SLOT;
    }
    reply->flags = FLOW_REPLY | MASQ;
    reply->seen = now;
    reply->server = slot;
    reply->timeout = timeout;
    reply->new_port = target_port(packet);
    reply->new_address = packet->target[0];
    if (family == 6) copy_address(((struct flow6 *)reply)->new_address, packet->target, 6);
    reply->hop.second = 0;
    reply->peer = reference;
    forward->peer = answers;
    flow_publish(reply);
  }
  flow_publish(forward);
  count_connection(slot, false, 1);
  return reference;
}

once_function u32 enter4(const struct packet *packet, u32 slot, u32 port, u32 template, u32 now) {
  return enter(4, packet, slot, port, template, now);
}

once_function u32 enter6(const struct packet *packet, u32 slot, u32 port, u32 template, u32 now) {
  return enter(6, packet, slot, port, template, now);
}

enum { MEET_COMMON = 1, MEET_SELF = 2 /* a program on this host sent it; from outside such a source is a lie */ };
enum { NO_SERVICE = NO_SLOT, MET_DROP = NO_SLOT - 1, MET_RARE = NO_SLOT - 2 };

/* The service for a packet, NO_SERVICE where there is none that wants it, MET_DROP where it is dropped, and counted, already; MET_RARE where the
 * common path asks, and the service leaves no entry by which tc's longer way could tell that all of this was done. */
once_function u32 meet(const struct packet *packet, u32 mark, u32 how) {
  struct settings *settings = the_settings();
  if (!packet || !settings) return NO_SERVICE;
  if (packet->protocol == IPPROTO_TCP) {
    if (packet->tcp_flags & TCP_RST) return NO_SERVICE;
    if (!(packet->tcp_flags & TCP_SYN) && settings->sloppy_tcp == 0) return NO_SERVICE;
  }
  u32 service = find_service(settings, packet, mark);
  struct rules *rules = rules_at(service);
  if (service == NO_SLOT || !rules) return NO_SERVICE;
  if (how & MEET_COMMON && rules->flags & RULES_ONE_PACKET && packet->protocol == IPPROTO_UDP) return MET_RARE;
  u32 reason = is_martian(packet) || (!(how & MEET_SELF) && is_own(packet->source, packet->family)) ? DROP_MARTIAN : is_dropped(settings) ? DROP_DROP_PACKET : DROPS;
  if (reason != DROPS) {
    count_drop(reason);
    return MET_DROP;
  }
  /* an active FTP data connection comes from the server's side, never from a client */
  return source_port(packet) == bpf_htons(FTP_DATA) ? NO_SERVICE : service;
}

/* The template for the packet's client, or NO_SLOT. */
inline_function u32 recall_any(const int family, const struct packet *packet, u32 service, bool by_call, u32 now) {
  if (by_call) return family == 4 ? recall_call4(packet, service, now) : recall_call6(packet, service, now);
  return family == 4 ? recall4(packet, service, now) : recall6(packet, service, now);
}

inline_function u32 remember_any(const int family, const struct packet *packet, u32 service, bool by_call, u32 slot, u32 now) {
  if (by_call) return family == 4 ? remember_call4(packet, service, slot, now) : remember_call6(packet, service, slot, now);
  return family == 4 ? remember4(packet, service, slot, now) : remember6(packet, service, slot, now);
}

/* The common path never gets here with a service that has a persistence engine. */
inline_function u32 place(void *context, const int family, const bool common, const struct packet *packet, u32 mark, u32 now,
                          struct placed *placed) {
  placed->reference = NO_SLOT;
  bool from_self = !common && TC_CONTEXT(context)->ifindex == LOOPBACK;
  u32 service = meet(packet, mark, (common ? MEET_COMMON : 0) | (from_self ? MEET_SELF : 0));
  if (service == MET_DROP) return PLACE_DROP;
  if (common && service == MET_RARE) return PLACE_ONE_PACKET;
  struct rules *rules = rules_at(service);
  if (service == NO_SERVICE || !rules) return PLACE_PASS;

  bool persistent = rules->persistence != 0;
  bool by_call = !common && persistent && rules->flags & RULES_SIP;
  if (by_call && !find_call(context, packet)) {
    count_drop(DROP_NO_ENGINE_DATA);
    return PLACE_DROP;
  }
  u32 template = persistent ? recall_any(family, packet, service, by_call, now) : NO_SLOT;
  struct flow *recalled = flow_at(family, template);
  u32 slot = recalled ? recalled->server : choose(packet, service, now);
  struct server *server = server_at(slot);
  if (slot == NO_SLOT || !server)
    return rules->port == FTP && target_port(packet) != bpf_htons(FTP) ? PLACE_PASS : PLACE_REFUSE;
  if (persistent && !recalled) template = remember_any(family, packet, service, by_call, slot, now);

  placed->server = slot;
  placed->port = server_port(rules, server, packet);
  if (rules->flags & RULES_ONE_PACKET && packet->protocol == IPPROTO_UDP) {
    count_new(slot);
    return PLACE_ONE_PACKET;
  }
  placed->reference = family == 4 ? enter4(packet, slot, placed->port, template, now) : enter6(packet, slot, placed->port, template, now);
  if (placed->reference == NO_SLOT) {
    struct settings *settings = the_settings();
    if (settings) __sync_fetch_and_add(&settings->refused[family == 4 ? 0 : 1], 1);
    count_drop(DROP_TABLE_FULL);
    return PLACE_DROP;
  }
  struct flow *held = flow_at(family, template);
  if (held) __sync_fetch_and_add(&held->new_address, 1);
  count_new(slot);
  return PLACE_MADE;
}

#endif
