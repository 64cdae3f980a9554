/* What the director would do with a packet, for `directord simulate`: the questions of rare.h in their order, without anything that a question
 * changes. Schedulers are asked for their choice only, and go on from where they are. */
#ifndef DIRECTORD_SIMULATE_H
#define DIRECTORD_SIMULATE_H
#include "rare.h"

/* The answer in the making: stacks are small. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct simulated);
} simulations SEC(".maps");

/* ---- the scheduler's choice */

inline_function u32 would_pick_wrr(u32 service, const struct pool_service *the_service) {
  union wrr_place place = { .both = *(const volatile u64 *)the_service->state };
  return next_by_weight(service, &place);
}

inline_function u32 would_pick_lblc(u32 service, const struct pool_service *the_service, u32 seconds) {
  u32 slot = the_service->state[LBLC_REMEMBERED] - 1;
  struct pool_destination *remembered = slot == NO_SLOT ? NULL : destination_at(slot);
  bool stays = remembered && lblc_stays(service, slot, remembered, the_service->state[LBLC_LAST_USE], seconds);
  return stays ? slot : pick_wlc(service);
}

inline_function u32 would_pick_lblcr(u32 service, const struct pool_service *the_service, u32 seconds) {
  const u32 *state = the_service->state;
  u32 least = least_member(service, has_expired(state[LBLCR_LAST_USE], seconds) ? state[LBLCR_JOINED] : state[LBLCR_FORGOTTEN]);
  return least != NO_SLOT && !should_share(service, least) ? least : pick_wlc(service);
}

once_function u32 would_choose(const struct packet *packet, u32 service, u32 now) {
  struct rules *rules = rules_at(service);
  struct pool_service *the_service = service_at(service);
  struct client client;
  if (!packet || !rules || !the_service || !client_of(packet, rules, now, &client)) return NO_SLOT;
  switch (the_service->scheduler) {
  case RR: return next_eligible(service, the_service->state[0]);
  case WRR: return would_pick_wrr(service, the_service);
  case LBLC: return would_pick_lblc(service, the_service, client.seconds);
  case LBLCR: return would_pick_lblcr(service, the_service, client.seconds);
  default: return schedule(service, &client); /* goes by the table, and remembers nothing */
  }
}

/* ---- persistence */

inline_function s32 ticks_left(u32 now, u32 since, u32 timeout) { return (s32)(timeout - (now - since)); }

/* The slot of the server that the client's template names, or NO_SLOT. */
inline_function u32 would_recall(const int family, const struct packet *packet, u32 service, u32 now, struct simulated *answer) {
  u32 network[4];
  struct flow_key key = {};
  const struct settings *settings = the_settings();
  const struct rules *rules = rules_at(service);
  if (!packet || !settings || !rules || !answer) return NO_SLOT;
  template_key(family, rules, packet, network, &key);
  const struct flow *template = flow_at(family, find_in_table(family, TEMPLATES, &key));
  if (!template) return NO_SLOT;
  bool lives = template->new_address != 0 || !has_passed(now, template->seen, template->timeout);
  if (!lives || !is_valid_template(settings, template)) return NO_SLOT;
  answer->has_template = 1;
  answer->template_left = ticks_left(now, template->seen, template->timeout);
  return template->server;
}

once_function u32 would_recall4(const struct packet *packet, u32 service, u32 now, struct simulated *answer) {
  return would_recall(4, packet, service, now, answer);
}

once_function u32 would_recall6(const struct packet *packet, u32 service, u32 now, struct simulated *answer) {
  return would_recall(6, packet, service, now, answer);
}

/* ---- the way */

/* Asks for the next hop to an address. */
static __noinline int would_send(struct __sk_buff *context, u32 family, const u32 *address, struct simulated *answer) {
  struct route route = {};
  u32 found = find_route(context, family, address, 1, &route);
  answer->route = found == ROUTE_LOCAL ? BPF_FIB_LKUP_RET_NOT_FWDED : BPF_FIB_LKUP_RET_SUCCESS;
  if (found == ROUTE_NONE) {
    struct bpf_fib_lookup question = { .ifindex = context->ifindex, .tot_len = 1, .family = family == 4 ? AF_INET : AF_INET6 };
    copy_address(question.ipv6_dst, address, 6);
    answer->route = bpf_fib_lookup(context, &question, sizeof(question), 0);
    if (answer->route == BPF_FIB_LKUP_RET_NOT_FWDED) answer->route = BPF_FIB_LKUP_RET_UNREACHABLE;
  }
  if (found != ROUTE_FOUND) return 0;
  answer->interface = route.hop.interface & ~HOP_NO_XDP;
  answer->mtu = route.hop.mtu;
  answer->knows_neighbour = route.hop.second != 0;
  __builtin_memcpy(answer->to, route.hop.to, ETH_ALEN);
  __builtin_memcpy(answer->from, route.hop.from, ETH_ALEN);
  answer->next_family = route.next.nh_family == AF_INET ? 4 : 6;
  copy_address(answer->next, route.next.ipv6_nh, 6);
  return 0;
}

static __noinline int would_send_to_server(struct __sk_buff *context, u32 slot, u32 method, u32 now, struct simulated *answer) {
  const struct server *server = server_at(slot);
  if (!server) return 0;
  answer->server = slot;
  answer->method = method;
  if (method == LOCAL || server->flags & SERVER_LOCAL) answer->route = BPF_FIB_LKUP_RET_NOT_FWDED;
  else would_send(context, server->family, server->address, answer);
  if (answer->route == BPF_FIB_LKUP_RET_SUCCESS) answer->mtu = mtu_to(server, answer->mtu, now);
  if (answer->route != BPF_FIB_LKUP_RET_NOT_FWDED || method != MASQ || !(server->flags & SERVER_LOOPBACK)) return 0;
  answer->outcome = OUTCOME_DROP;
  answer->reason = DROP_TO_LOOPBACK;
  return 0;
}

/* ---- the packet */

inline_function void because(struct simulated *answer, u32 outcome, u32 reason) {
  answer->outcome = outcome;
  answer->reason = reason;
}

/* Of a connection that goes on. */
inline_function void would_go_on(struct __sk_buff *context, const int family, const struct packet *packet, const struct flow *flow, u32 now,
                                 struct simulated *answer) {
  const struct flow *forward = flow->flags & FLOW_REPLY ? flow_at(family, flow->peer) : flow;
  const struct flow *reply = flow->flags & FLOW_REPLY ? flow : flow_at(family, flow->peer);
  if (!forward) return;
  const struct pool_destination *destination = destination_at(forward->server);
  answer->service = destination ? destination->service : NO_SLOT;
  answer->state = forward->state;
  answer->port = bpf_ntohs(flow->new_port);
  answer->left = ticks_left(now, forward->seen, forward->timeout);
  if (reply) {
    s32 left = ticks_left(now, reply->seen, forward->timeout);
    if (left > answer->left) answer->left = left;
  }
  if (!(flow->flags & FLOW_REPLY)) {
    answer->outcome = OUTCOME_CONNECTION;
    would_send_to_server(context, forward->server, forward->flags & FLOW_METHOD, now, answer);
    return;
  }
  answer->outcome = OUTCOME_REPLY;
  answer->server = forward->server;
  answer->method = forward->flags & FLOW_METHOD;
  copy_address(answer->address, family == 4 ? &flow->new_address : ((const struct flow6 *)flow)->new_address, family);
  would_send(context, family, packet->target, answer);
}

inline_function void would_place(struct __sk_buff *context, const int family, const struct settings *settings, const struct packet *packet,
                                 u32 now, struct simulated *answer) {
  if (packet->protocol == IPPROTO_TCP) {
    bool opens = packet->tcp_flags & TCP_SYN || settings->sloppy_tcp != 0;
    if (packet->tcp_flags & TCP_RST || !opens) return because(answer, OUTCOME_PASS, PASSING_NO_SYN);
  }
  answer->mark = settings->marks ? mark_of(context, packet) : 0;
  const u32 service = find_service(settings, packet, answer->mark);
  const struct rules *rules = rules_at(service);
  if (service == NO_SLOT || !rules) return because(answer, OUTCOME_PASS, PASSING_NO_SERVICE);
  answer->service = service;
  bool lies = context->ifindex != LOOPBACK && is_own(packet->source, family);
  if (is_martian(packet) || lies) return because(answer, OUTCOME_DROP, DROP_MARTIAN);
  if (source_port(packet) == bpf_htons(FTP_DATA)) return because(answer, OUTCOME_PASS, PASSING_FTP_DATA);
  /* the name of its template is in the packet's data, and there are none */
  if (rules->persistence != 0 && rules->flags & RULES_SIP) return because(answer, OUTCOME_DROP, DROP_NO_ENGINE_DATA);
  u32 slot = NO_SLOT;
  if (rules->persistence != 0)
    slot = family == 4 ? would_recall4(packet, service, now, answer) : would_recall6(packet, service, now, answer);
  if (slot == NO_SLOT) slot = would_choose(packet, service, now);
  const struct server *server = server_at(slot);
  if (slot == NO_SLOT || !server) {
    bool is_ftp_data = rules->port == FTP && target_port(packet) != bpf_htons(FTP);
    return because(answer, is_ftp_data ? OUTCOME_PASS : OUTCOME_REFUSE, PASSING_FTP_DATA);
  }
  answer->outcome = rules->flags & RULES_ONE_PACKET && packet->protocol == IPPROTO_UDP ? OUTCOME_ONE_PACKET : OUTCOME_NEW;
  answer->port = bpf_ntohs(server_port(rules, server, packet));
  would_send_to_server(context, slot, server->method, now, answer);
}

inline_function void would_forward(struct __sk_buff *context, const int family, const struct packet *packet, struct simulated *answer) {
  const struct settings *settings = the_settings();
  if (!settings) return;
  const u32 now = now_tick(settings);
  const struct flow *flow = flow_at(family, flow_find(family, packet));
  if (flow) {
    const struct flow *forward = flow->flags & FLOW_REPLY ? flow_at(family, flow->peer) : flow;
    u32 carrying = !forward ? CARRY_ANEW
                 : forward == flow ? carries_on(family, settings, packet, forward, now)
                 : is_past(family, forward, now) ? CARRY_ANEW : CARRY_ON;
    if (carrying == CARRY_DROP) return because(answer, OUTCOME_DROP, DROP_DESTINATION_DELETED);
    if (carrying == CARRY_ON) return would_go_on(context, family, packet, flow, now, answer);
    answer->ended = 1;
  }
  u32 beginner = packet->protocol == IPPROTO_UDP && settings->engines != 0 ? beginner_of(packet) : NO_SLOT;
  const struct pool_destination *begins = beginner == NO_SLOT ? NULL : destination_at(beginner);
  if (begins && begins->flags & DESTINATION_AVAILABLE) {
    because(answer, OUTCOME_BEGUN, 0);
    answer->server = beginner;
    answer->service = begins->service;
    would_send(context, family, packet->target, answer);
    return;
  }
  if (settings->nat_icmp_send != 0 && is_stray_reply(packet) && !(packet->tcp_flags & TCP_RST))
    return because(answer, OUTCOME_STRAY, DROP_UNKNOWN_REPLY);
  would_place(context, family, settings, packet, now, answer);
}

/* The answer is what comes back as the packet, which is long enough for it. */
inline_function int simulated(struct __sk_buff *context) {
  struct packet packet = {};
  struct details details = {};
  u32 first = 0;
  struct simulated *answer = bpf_map_lookup_elem(&simulations, &first);
  if (!answer) return 1;
  __builtin_memset(answer, 0, sizeof(*answer));
  answer->service = answer->server = NO_SLOT;
  answer->template_left = answer->route = -1;
  if (read_any(context, &packet, &details) != READ_DONE) because(answer, OUTCOME_DROP, DROP_MALFORMED);
  else if (packet.protocol != IPPROTO_TCP && packet.protocol != IPPROTO_UDP) because(answer, OUTCOME_PASS, PASSING_OTHER);
  else if (packet.family == 4) would_forward(context, 4, &packet, answer);
  else would_forward(context, 6, &packet, answer);
  return bpf_skb_store_bytes(context, 0, answer, sizeof(*answer), 0);
}

#endif
