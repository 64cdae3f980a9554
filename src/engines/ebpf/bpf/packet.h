/* What the director wants to know of a packet, however it was read. Addresses and ports as on the wire, IPv4 in word 0. */
#ifndef DIRECTORD_PACKET_H
#define DIRECTORD_PACKET_H
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include "maps.h"

struct packet {
  u32 source[4];
  u32 target[4];
  u32 ports;     /* source, target */
  u32 length;    /* of the IP packet */
  u16 transport; /* offset of the TCP or UDP header in the frame */
  u16 checksum;  /* of UDP; 0 where there is none, which TCP never has */
  u8 family;
  u8 protocol;
  u8 ttl;
  u8 tcp_flags;
};

enum tcp_flag { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

inline_function u16 source_port(const struct packet *packet) { return packet->ports & 0xffff; } /* network order */
inline_function u16 target_port(const struct packet *packet) { return packet->ports >> 16; }

inline_function bool same_address(const u32 *a, const u32 *b, int family) {
  return a[0] == b[0] && (family == 4 || (a[1] == b[1] && a[2] == b[2] && a[3] == b[3]));
}

inline_function void copy_address(u32 *to, const u32 *from, int family) {
  to[0] = from[0];
  to[1] = family == 4 ? 0 : from[1];
  to[2] = family == 4 ? 0 : from[2];
  to[3] = family == 4 ? 0 : from[3];
}

#endif
