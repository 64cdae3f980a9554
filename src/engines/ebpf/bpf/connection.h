/* A connection: one or two flows, its state, its time, and what it counts for. */
#ifndef DIRECTORD_CONNECTION_H
#define DIRECTORD_CONNECTION_H
#include "counts.h"
#include "flow-table.h"
#include "states.h"

/* Of UDP: 0 until its first packet is through. */
enum udp_state { UDP_NEW, UDP_BEGUN };

/* protocol, flags, state and displaced in one word, for changing several at once */
inline_function u32 *facts_of(struct flow *flow) { return (u32 *)&flow->protocol; }
#define FLAGS_SHIFT 8
#define STATE_SHIFT 16

/* Whether so many ticks have gone by. */
inline_function bool has_passed(u32 now, u32 since, u32 ticks) { return now - since > ticks && (s32)(now - since) > 0; }

/* Forward flow, and the reply's if there is one: past their time. */
inline_function bool is_past(const int family, const struct flow *forward, u32 now) {
  if (!has_passed(now, forward->seen, forward->timeout)) return false;
  struct flow *reply = flow_at(family, forward->peer);
  return !reply || has_passed(now, reply->seen, forward->timeout);
}

inline_function void set_flag(struct flow *flow, u32 flag) { __sync_fetch_and_or(facts_of(flow), flag << FLAGS_SHIFT); }

/* Of a connection that ends: its template has one less to care for. */
inline_function void release_template(const int family, struct flow *forward) {
  if (forward->template == 0) return;
  struct flow *template = flow_at(family, forward->template - 1);
  if (template) __sync_fetch_and_add(&template->new_address, -1);
}

inline_function void remove_connection(const int family, u32 reference, struct flow *forward) {
  u32 peer = forward->peer;
  if (!flow_seize(forward)) return;
  count_connection(forward->server, forward->flags & FLOW_ACTIVE, -1);
  release_template(family, forward);
  struct flow *reply = flow_at(family, peer);
  if (reply && flow_seize(reply)) {
    if (peer >> 30 == FULL) flow_free(family, FULL, reply);
    else flow_free(family, HALF, reply);
  }
  if (reference >> 30 == FULL) flow_free(family, FULL, forward);
  else flow_free(family, HALF, forward);
}

once_function int remove_connection4(u32 reference) {
  struct flow *forward = flow_at(4, reference);
  if (forward) remove_connection(4, reference, forward);
  return 0;
}

once_function int remove_connection6(u32 reference) {
  struct flow *forward = flow_at(6, reference);
  if (forward) remove_connection(6, reference, forward);
  return 0;
}

inline_function void end_connection(const int family, u32 reference) {
  if (family == 4) remove_connection4(reference);
  else remove_connection6(reference);
}

inline_function void copy_flow(const int family, struct flow *to, const struct flow *from) {
  to->seen = from->seen;
  to->state = from->state;
  to->flags = from->flags;
  to->new_address = from->new_address;
  to->new_port = from->new_port;
  to->server = from->server;
  to->timeout = from->timeout;
  to->hop = from->hop;
  if (family == 6) copy_address(((struct flow6 *)to)->new_address, ((const struct flow6 *)from)->new_address, 6);
}

/* Once for each: every later packet tries to promote it again. */
inline_function void count_unpromoted(const int family, struct flow *forward) {
  u32 counted = FLOW_COUNTED << FLAGS_SHIFT;
  if (__sync_fetch_and_or(facts_of(forward), counted) & counted) return;
  struct settings *settings = the_settings();
  if (settings) __sync_fetch_and_add(&settings->unpromoted[family == 4 ? 0 : 1], 1);
}

/* Moves a connection that proved to be one out of the table of half-open ones, which any flood may throw out. */
inline_function void promote(const int family, u32 reference) {
  struct flow *forward = flow_at(family, reference);
  if (!forward || reference >> 30 != HALF) return;
  u32 confirmed = FLOW_CONFIRMED << FLAGS_SHIFT;
  if (__sync_fetch_and_or(facts_of(forward), confirmed) & confirmed) return;
  struct flow_key key = {};
  key_of_slot(family, forward, &key);
  u32 to = flow_claim(family, FULL, &key);
  struct flow *full = flow_at(family, to);
  if (!full) goto no_room;
  struct flow *reply = flow_at(family, forward->peer);
  struct flow *full_reply = NULL;
  if (reply) {
    key_of_slot(family, reply, &key);
    u32 to_reply = flow_claim(family, FULL, &key);
    full_reply = flow_at(family, to_reply);
    if (!full_reply) {
      flow_free(family, FULL, full);
      goto no_room;
    }
    copy_flow(family, full_reply, reply);
    full_reply->peer = to;
    full->peer = to_reply;
  }
  copy_flow(family, full, forward);
  full->flags &= ~FLOW_COUNTED;
  flow_publish(full);
  if (full_reply) flow_publish(full_reply);
  if (flow_seize(forward)) flow_free(family, HALF, forward);
  if (reply && flow_seize(reply)) flow_free(family, HALF, reply);
  return;
no_room:
  count_unpromoted(family, forward);
  __sync_fetch_and_and(facts_of(forward), ~confirmed);
}

once_function int promote4(u32 reference) {
  promote(4, reference);
  return 0;
}

once_function int promote6(u32 reference) {
  promote(6, reference);
  return 0;
}

inline_function void set_template_flag(const int family, const struct flow *forward, u32 flag) {
  if (forward->template == 0) return;
  struct flow *template = flow_at(family, forward->template - 1);
  if (template && !(template->flags & flag)) set_flag(template, flag);
}

/* A client that opens a connection anew from the same port need not go to the same server: IPVS's conn_reuse_mode. */
inline_function bool is_over(const struct settings *settings, const struct flow *forward) {
  if (forward->template != 0) return false;
  if (forward->state == TCP_TIME_WAIT || forward->state == TCP_CLOSE) return true;
  return settings->conn_reuse_mode & 2 && forward->state == TCP_FIN_WAIT && (forward->flags & FLOW_METHOD) != MASQ;
}

/* Somebody is there: a second packet, or an answer, was seen. */
inline_function void confirm(const int family, u32 reference) {
  if (reference >> 30 != HALF) return;
  if (family == 4) promote4(reference);
  else promote6(reference);
}

/* Where replies pass the director, one did; those of a server on this host do not. */
inline_function bool is_answered(const struct flow *forward, u32 direction) {
  if (direction != INPUT || forward->flags & FLOW_REPLIED) return true;
  struct server *server = server_at(forward->server);
  return server && server->flags & SERVER_LOCAL;
}

/* The state after a packet, and all that follows from it. The reference may be stale afterwards: the connection may have been promoted. */
inline_function void step(const int family, const struct settings *settings, u32 reference, struct flow *forward, u32 direction, u8 tcp_flags) {
  u32 before = *(volatile u32 *)facts_of(forward);
  u8 state = before >> STATE_SHIFT;
  u8 next = next_tcp_state(direction, tcp_flags, state, settings->secure_tcp != 0);
  u32 active = FLOW_ACTIVE << FLAGS_SHIFT;
  u32 after = (before & ~((0xffu << STATE_SHIFT) | active)) | ((u32)next << STATE_SHIFT) | (is_active(next) ? active : 0);
  u32 row = next;
  hide(row); /* the compiler knows that the table has no larger numbers; the verifier wants to see the check */
  u32 timeout = row < TCP_STATES ? settings->tcp_timeouts[row] : 0;
  if (forward->timeout != timeout) forward->timeout = timeout;
  if (after != before) {
    /* somebody who changed it at the same moment has the word: his packet is as good as this one */
    if (__sync_val_compare_and_swap(facts_of(forward), before, after) != before) return;
    if ((after ^ before) & active) move_connection(forward->server, after & active);
    struct flow *reply = flow_at(family, forward->peer);
    if (reply) reply->state = next;
  }
  if (next != TCP_ESTABLISHED) return;
  set_template_flag(family, forward, FLOW_ASSURED);
  if (is_answered(forward, direction)) confirm(family, reference);
}

#endif
