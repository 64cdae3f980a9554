/* What differs between XDP and tc: how a frame is reached and sent. `xdp` is a constant wherever it is asked. */
#ifndef DIRECTORD_CONTEXT_H
#define DIRECTORD_CONTEXT_H
#include <linux/pkt_cls.h>
#include "packet.h"

#define XDP_CONTEXT(context) ((struct xdp_md *)(context))
#define TC_CONTEXT(context) ((struct __sk_buff *)(context))

/* Verdicts of the common path in tc that are none of its actions. */
#define RARE (-2)    /* nothing has been changed: tc does it on its longer way */
#define REFUSED (-4) /* nobody serves there: tc tells the client */

inline_function void *frame_data(void *context, const bool xdp) {
  void *data = xdp ? (void *)(long)XDP_CONTEXT(context)->data : (void *)(long)TC_CONTEXT(context)->data;
  hide(data);
  return data;
}

inline_function void *frame_end(void *context, const bool xdp) {
  void *end = xdp ? (void *)(long)XDP_CONTEXT(context)->data_end : (void *)(long)TC_CONTEXT(context)->data_end;
  hide(end);
  return end;
}

inline_function u64 frame_length(void *context, const bool xdp, const void *data, const void *end) {
  u64 length = xdp ? (u64)(end - data) : TC_CONTEXT(context)->len;
  hide(length); /* or the compiler makes 32 bits of the pointers, which the verifier does not take */
  return length;
}

inline_function u32 frame_interface(void *context, const bool xdp) {
  return xdp ? XDP_CONTEXT(context)->ingress_ifindex : TC_CONTEXT(context)->ifindex;
}

#define LOOPBACK 1 /* the interface, of every network namespace */
#define OTHERHOST 3 /* PACKET_OTHERHOST of linux/if_packet.h */

/* Not for a bridge or a VLAN above, nor for a neighbour whose frames somebody on this host listens to. `data` has an Ethernet header. */
inline_function bool is_for_this_host(void *context, const bool xdp, const struct settings *settings, const void *data) {
  if (!xdp) return TC_CONTEXT(context)->pkt_type != OTHERHOST && !TC_CONTEXT(context)->vlan_present;
  u32 interface = XDP_CONTEXT(context)->ingress_ifindex;
  const struct card *card = &settings->cards[interface % CARDS];
  return card->interface == interface && *(u32 *)data == *(u32 *)card->mac && *(u16 *)(data + 4) == *(u16 *)(card->mac + 4);
}

/* A packet that was merged of several and will be cut again: its length says nothing about what the path carries. */
inline_function bool is_merged(void *context, const bool xdp) { return !xdp && TC_CONTEXT(context)->gso_size != 0; }

inline_function int pass(const bool xdp) { return xdp ? XDP_PASS : TC_ACT_UNSPEC; }
inline_function int leave(const bool xdp) { return xdp ? XDP_PASS : RARE; } /* to tc, after XDP or in it */
inline_function int refuse(const bool xdp) { return xdp ? XDP_PASS : REFUSED; }
inline_function int drop(const bool xdp) { return xdp ? XDP_DROP : TC_ACT_SHOT; }

inline_function int send_to(void *context, const bool xdp, u32 interface) {
  if (xdp && interface == XDP_CONTEXT(context)->ingress_ifindex) return XDP_TX;
  return bpf_redirect(interface & ~HOP_NO_XDP, 0);
}

#endif
