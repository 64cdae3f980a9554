/* IPVS's view of a TCP connection: the next state for a packet of each direction. States have the numbers of IPVS's sync protocol;
 * src/connections/tcp-states.ts says the same in TypeScript. */
#ifndef DIRECTORD_STATES_H
#define DIRECTORD_STATES_H
#include "packet.h"

enum tcp_state {
  TCP_NONE, TCP_ESTABLISHED, TCP_SYN_SENT, TCP_SYN_RECV, TCP_FIN_WAIT, TCP_TIME_WAIT, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_LAST_ACK,
  TCP_LISTEN, TCP_SYNACK,
};

/* Input only: replies bypass the director. */
enum direction { INPUT, OUTPUT, INPUT_ONLY };
enum tcp_event { EVENT_SYN, EVENT_FIN, EVENT_ACK, EVENT_RST, EVENTS, EVENT_OTHER = EVENTS };

enum { NO = TCP_NONE, ES, SS, SR, FW, TW, CL, CW, LA, LI, SA };

#define TRANSITIONS (3 * EVENTS * TCP_STATES)

/* Rows: direction and event; columns: the state before. */
static const u8 transitions[TRANSITIONS] = {
  /* NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA */
  SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR, /* input: syn */
  CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW, /* fin */
  ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES, /* ack */
  CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR, /* rst */
  SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR, /* output: syn */
  TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW,
  ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES,
  CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL,
  SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR, /* input only: syn */
  CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW,
  ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES,
  CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL,
};

/* With secure_tcp a client is believed only once the server has said more than SYN ACK. */
static const u8 secure_transitions[TRANSITIONS] = {
  SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SA,
  CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, SA,
  ES, ES, SS, SR, FW, TW, CL, CW, CL, LI, SA,
  CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL,
  SS, ES, SS, SA, SS, SS, SS, SS, SS, LI, SA,
  TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW,
  ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES,
  CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL,
  SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA,
  CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW,
  ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES,
  CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL,
};

inline_function u32 tcp_event(u8 flags) {
  if (flags & TCP_RST) return EVENT_RST;
  if (flags & TCP_SYN) return EVENT_SYN;
  if (flags & TCP_FIN) return EVENT_FIN;
  return flags & TCP_ACK ? EVENT_ACK : EVENT_OTHER;
}

inline_function u8 next_tcp_state(u32 direction, u8 flags, u8 state, bool secure) {
  u32 event = tcp_event(flags);
  u32 at = (direction * EVENTS + event) * TCP_STATES + state;
  if (event == EVENT_OTHER || at >= TRANSITIONS) return TCP_CLOSE;
  return secure ? secure_transitions[at] : transitions[at];
}

inline_function bool is_active(u8 state) {
  return state == TCP_ESTABLISHED || state == TCP_SYN_SENT || state == TCP_SYN_RECV || state == TCP_SYNACK;
}

#endif
