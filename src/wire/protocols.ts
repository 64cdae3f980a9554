/** IP protocol numbers and IPv6 next headers that the wire knows, as IANA assigns them. */
export const Protocol = {
  hopByHop: 0,
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  gre: 47,
  icmpv6: 58,
  destinationOptions: 60,
  sctp: 132,
} as const;
