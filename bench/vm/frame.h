/* The frames of `make bench-vm`: 60 bytes, and 4 that a network card would add. UDP with 18 bytes of data, or TCP with none and padding. */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/types.h>

struct frame {
  struct ethhdr ethernet;
  struct iphdr ip;
  __be16 source;
  __be16 destination;
  __u16 rest[11]; /* of TCP: sequence, acknowledgement, flags, window, checksum, urgent pointer, padding */
} __attribute__((packed));

#endif
