/** Values as packet filters print them. */

const protocols: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  'ipv6-icmp': 58,
  sctp: 132,
  udplite: 136,
};

/** @returns undefined for a name that we do not know */
export function numberedProtocol(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : protocols[text];
}
