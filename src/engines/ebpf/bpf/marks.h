/* Firewall marks. Packets meet tc before netfilter, so the mark that the administrator's packet filter is going to give them is worked out
 * here, by rules that TypeScript has made of its rules. */
#ifndef DIRECTORD_MARKS_H
#define DIRECTORD_MARKS_H
#include <linux/if_packet.h>
#include "hops.h"
#include "new-flow.h"

inline_function bool is_under4(u32 address, const u32 *words) {
  return (address & words[1]) == words[0] || (address & words[3]) == words[2] || (address & words[5]) == words[4] ||
         (address & words[7]) == words[6];
}

inline_function bool is_under6(const u32 *address, const u32 *words) {
  return (address[0] & words[4]) == words[0] && (address[1] & words[5]) == words[1] && (address[2] & words[6]) == words[2] &&
         (address[3] & words[7]) == words[3];
}

inline_function bool is_in4(u32 address, const u32 *words) {
#pragma unroll
  for (int i = 0; i < 8; i += 2)
    if (address >= words[i] && address <= words[i + 1]) return true;
  return false;
}

/* Whether the wire's first address is not above the other, which is in host order; or not below it. */
inline_function bool is_ordered(const u32 *address, const u32 *limit, const bool above) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    u32 word = bpf_ntohl(address[i]);
    if (word != limit[i]) return (word > limit[i]) == above;
  }
  return true;
}

inline_function bool has_port(const u32 *words, u16 port) {
#pragma unroll
  for (int i = 0; i < 8; i++)
    if (port >= (words[i] & 0xffff) && port <= words[i] >> 16) return true;
  return false;
}

inline_function bool is_one_of(const u32 *words, const int from, u32 value) {
#pragma unroll
  for (int i = 0; i < 8; i++)
    if (i >= from && words[i] == value) return true;
  return false;
}

/* Whether the packet, which came in by the interface and has the mark so far, is what the rule asks for. */
once_function int fits_rule(const struct packet *packet, const struct mark_rule *rule, u32 interface, u32 mark) {
  if (!packet || !rule) return false;
  const u32 *words = rule->words;
  const u32 *address = rule->sides & MARK_SOURCE ? packet->source : packet->target;
  switch (rule->kind) {
  case MARK_IS:
    return is_one_of(words, 1, mark & words[0]);
  case MARK_PROTOCOLS:
    return words[packet->protocol >> 5] >> (packet->protocol & 31) & 1;
  case MARK_NETWORKS4:
    return is_under4(*address, words);
  case MARK_NETWORK6:
    return is_under6(address, words);
  case MARK_SPANS4:
    return is_in4(bpf_ntohl(*address), words);
  case MARK_SPAN6:
    return is_ordered(address, words, true) && is_ordered(address, words + 4, false);
  case MARK_PORTS:
    return (rule->sides & MARK_SOURCE && has_port(words, bpf_ntohs(source_port(packet)))) ||
           (rule->sides & MARK_TARGET && has_port(words, bpf_ntohs(target_port(packet))));
  case MARK_INTERFACES:
    return is_one_of(words, 0, interface);
  }
  return false;
}

/* The mark that the packet filter gives to a packet of TCP or UDP that comes in by the interface. */
once_function u32 walk_mark_rules(const struct packet *packet, u32 interface) {
  const struct settings *settings = the_settings();
  u32 mark = 0;
  if (!packet || !settings) return 0;
  u32 at = packet->family == 4 ? settings->mark_rules & 0xffff : settings->mark_rules >> 16;
  for (int i = 0; i < MOST_MARK_RULES && at != 0; i++) {
    const struct mark_rule *rule = bpf_map_lookup_elem(&mark_rules, &at);
    if (!rule) return 0;
    bool fits = true;
    if (rule->kind == MARK_SET) mark = (mark & rule->words[0]) ^ rule->words[1];
    else fits = fits_rule(packet, rule, interface, mark);
    at = fits ? rule->if_so : rule->if_not;
  }
  return mark;
}

/* IPVS looks at what is for this host alone. */
once_function u32 mark_of(struct __sk_buff *context, const struct packet *packet) {
  struct route route = {};
  if (!packet || context->pkt_type != PACKET_HOST) return 0;
  u32 mark = walk_mark_rules(packet, context->ifindex);
  if (mark == 0 || is_own(packet->target, packet->family)) return mark;
  u32 found = ask_route(context, packet->family, (const struct address *)packet->target, 0, &route);
  return found == ROUTE_LOCAL || found == ROUTE_NOT_FORWARDED ? mark : 0;
}

#endif
