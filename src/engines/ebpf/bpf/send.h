/* What is done last with a packet on tc's longer way: sent, cut, dropped, or its sender is told why not. */
#ifndef DIRECTORD_SEND_H
#define DIRECTORD_SEND_H
#include "datagram.h"
#include "hops.h"

inline_function u32 next_identification(void) {
  struct settings *settings = the_settings();
  return settings ? __sync_fetch_and_add(&settings->identification, 1) : 0;
}

inline_function int decrement_ttl(struct __sk_buff *context, const struct packet *packet) {
  u8 ttl = packet->ttl - 1;
  if (packet->family == 6) return bpf_skb_store_bytes(context, ETH_HLEN + offsetof(struct ipv6hdr, hop_limit), &ttl, 1, 0);
  u16 old = packet->ttl, new = ttl;
  if (bpf_l3_csum_replace(context, ETH_HLEN + offsetof(struct iphdr, check), old, new, sizeof(u16))) return -1;
  return bpf_skb_store_bytes(context, ETH_HLEN + offsetof(struct iphdr, ttl), &ttl, 1, 0);
}

inline_function int drop_because(u32 reason) {
  count_drop(reason);
  return TC_ACT_SHOT;
}

/* ---- errands */

inline_function int tell(struct __sk_buff *context, u32 what, u32 mtu, u32 count) {
  u32 first = 0;
  struct errand *errand = bpf_map_lookup_elem(&errands, &first);
  if (!errand) return TC_ACT_SHOT;
  errand->tell = what;
  errand->mtu = mtu;
  errand->count = count;
  bpf_tail_call(context, &steps, STEP_TELL);
  return TC_ACT_SHOT;
}

inline_function struct errand *errand_of(const struct packet *packet, const struct route *route) {
  u32 first = 0;
  struct errand *errand = bpf_map_lookup_elem(&errands, &first);
  if (!errand) return NULL;
  errand->hop = route->hop;
  errand->next_family = route->next.nh_family;
  copy_address(errand->next, route->next.ipv6_nh, 6);
  errand->transport = packet->transport;
  errand->protocol = packet->protocol;
  errand->overhead = 0;
  errand->id = 0;
  errand->slot = NO_SLOT;
  errand->is_datagram = errand->is_merged = errand->inwards = false;
  return errand;
}

/* Sends in fragments a packet that is ready but for its length. `most`: of a datagram that is in the cargo's pages the largest fragment in which it
 * came, else 0; `overhead`: bytes that a tunnel put before the packet. */
inline_function int cut(struct __sk_buff *context, u32 mtu, u32 most, const struct packet *packet, u32 overhead, const struct route *route) {
  struct errand *errand = errand_of(packet, route);
  if (!errand) return TC_ACT_SHOT;
  errand->mtu = most != 0 && most < mtu ? most : mtu;
  errand->overhead = overhead;
  errand->is_datagram = most != 0;
  bpf_tail_call(context, &steps, STEP_CUT);
  return TC_ACT_SHOT;
}

/* Sends in segments of at most `mtu` bytes a TCP packet that was merged of several, each in a tunnel to the server in `slot`, if there is one:
 * see wrap() in tunnel.h for its traits. */
inline_function int cut_merged(struct __sk_buff *context, u32 mtu, const struct packet *packet, u32 slot, u32 traits, const struct route *route) {
  struct errand *errand = errand_of(packet, route);
  if (!errand) return TC_ACT_SHOT;
  errand->mtu = mtu;
  errand->slot = slot;
  errand->traits = traits;
  errand->is_merged = true;
  bpf_tail_call(context, &steps, STEP_CUT);
  return TC_ACT_SHOT;
}

/* A datagram that was put together is for this host: it comes in once more, in fragments as large as before. */
inline_function int hand_in(struct __sk_buff *context, const struct packet *packet, u32 most) {
  struct route nowhere = {};
  struct errand *errand = errand_of(packet, &nowhere);
  if (!errand) return TC_ACT_SHOT;
  errand->mtu = most;
  errand->is_datagram = errand->inwards = true;
  bpf_tail_call(context, &steps, STEP_CUT);
  return TC_ACT_SHOT;
}

/* Bytes of the longest of the packets that were merged into this one; of others the packet's. */
inline_function u32 longest_of(struct __sk_buff *context, const struct packet *packet) {
  u8 offset;
  const u32 merged = context->gso_size;
  if (merged == 0 || bpf_skb_load_bytes(context, packet->transport + 12, &offset, 1)) return packet->length;
  return packet->transport - ETH_HLEN + (packet->protocol == IPPROTO_TCP ? (offset >> 4) * 4 : sizeof(struct udphdr)) + merged;
}

/* The packet is ready, but for its length. */
inline_function int send_or_cut(struct __sk_buff *context, const struct packet *packet, u32 mtu, u32 most, struct route *route) {
  if (most == 0 && packet->length <= mtu) return send_by(context, route);
  if (!is_merged(context, false)) return cut(context, mtu, most, packet, 0, route);
  bool fits = packet->protocol != IPPROTO_TCP || longest_of(context, packet) <= mtu;
  return fits ? send_by(context, route) : cut_merged(context, mtu, packet, NO_SLOT, 0, route);
}

/* Whether a packet may go on, perhaps in fragments. */
inline_function bool may_go(struct __sk_buff *context, const struct packet *packet, bool dont_fragment, u32 mtu, u32 most) {
  if (packet->length <= mtu || is_merged(context, false)) return true;
  return packet->family == 4 ? !dont_fragment : most > 0 && most <= mtu;
}

#endif
