/* Where packets go next, as the kernel's routes and neighbours say. Only tc asks (bpf_fib_lookup); what it hears is kept in servers and flows
 * for a second or four, for XDP too. What is asked about is sent by bpf_redirect_neigh, so that the kernel goes on verifying the neighbour. */
#ifndef DIRECTORD_HOPS_H
#define DIRECTORD_HOPS_H
#include "context.h"
#include "own-addresses.h"

#define AF_INET 2
#define AF_INET6 10

enum route_result {
  ROUTE_FOUND,
  ROUTE_LOCAL,
  ROUTE_NONE,
  ROUTE_NOT_FORWARDED, /* none, or a local one to what is no address of this host (as `ip route add local` makes): the kernel does not say which */
};

struct route {
  struct hop hop; /* hop.second is 0: no neighbour is known yet */
  struct bpf_redir_neigh next;
};

/* To an address, for packets that come in on the context's interface. `second`: what to put into the hop. */
once_function u32 ask_route(struct __sk_buff *context, u32 family, const struct address *to, u32 second, struct route *route) {
  if (!to || !route) return ROUTE_NONE;
  const u32 *address = to->words;
  struct bpf_fib_lookup question = { .ifindex = context->ifindex, .tot_len = 1 };
  question.family = family == 4 ? AF_INET : AF_INET6;
  if (family == 4) question.ipv4_dst = address[0];
  else copy_address(question.ipv6_dst, address, 6);
  long answer = bpf_fib_lookup(context, &question, sizeof(question), 0);
  if (answer == BPF_FIB_LKUP_RET_NOT_FWDED) return is_own(address, family) ? ROUTE_LOCAL : ROUTE_NOT_FORWARDED;
  if (answer != BPF_FIB_LKUP_RET_SUCCESS && answer != BPF_FIB_LKUP_RET_NO_NEIGH) return ROUTE_NONE;
  u32 interface = question.ifindex;
  struct interface *known = bpf_map_lookup_elem(&interfaces, &interface);
  u32 mtu = question.mtu_result > 1 ? question.mtu_result : known ? known->mtu : 1500;
  route->hop.interface = interface | (known && known->flags & INTERFACE_XDP ? 0 : HOP_NO_XDP);
  route->hop.mtu = mtu;
  route->hop.second = answer == BPF_FIB_LKUP_RET_SUCCESS && !(known && known->flags & INTERFACE_NO_ETHERNET) ? second : 0;
  __builtin_memcpy(route->hop.to, question.dmac, 6);
  __builtin_memcpy(route->hop.from, question.smac, 6);
  /* it may have put the gateway there, of either family */
  route->next.nh_family = question.family;
  copy_address(route->next.ipv6_nh, question.ipv6_dst, 6);
  return ROUTE_FOUND;
}

/* Never ROUTE_NOT_FORWARDED: which servers are local by such a route the daemon knows (SERVER_LOCAL), and of clients none is. */
inline_function u32 find_route(struct __sk_buff *context, u32 family, const u32 *address, u16 second, struct route *route) {
  u32 found = ask_route(context, family, (const struct address *)address, second, route);
  return found == ROUTE_NOT_FORWARDED ? ROUTE_NONE : found;
}

/* The packet as it is now leaves by the route. */
inline_function int send_by(struct __sk_buff *context, struct route *route) {
  if (route->hop.second != 0) bpf_skb_store_bytes(context, 0, route->hop.to, 2 * ETH_ALEN, 0);
  return bpf_redirect_neigh(route->hop.interface & ~HOP_NO_XDP, &route->next, sizeof(route->next), 0);
}

#endif
