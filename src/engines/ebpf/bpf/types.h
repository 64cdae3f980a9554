/* What BPF programs and TypeScript both read and write: the records of the maps. TypeScript's side is ../layout.ts; a test compares both.
 * Addresses and ports are as they are on the wire, unless it says host order; times are ticks (see clock.h). */
#ifndef DIRECTORD_TYPES_H
#define DIRECTORD_TYPES_H
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;

/* ---- pool: records of 64 bytes, as src/scheduling/pool.ts has them: the header, then services, then destinations. Host order. */

struct pool_service {
  u32 head;  /* destination slot + 1, 0 for none */
  u32 count;
  u32 scheduler;
  u32 flags;
  u32 revision;
  u32 spare[3];
  u32 state[8]; /* the scheduler's own */
};

enum destination_flag { DESTINATION_USED = 1, DESTINATION_AVAILABLE = 2, DESTINATION_OVERLOADED = 4, DESTINATION_BARRED = 8 };

struct pool_destination {
  u32 next;
  u32 service;
  s32 weight;
  s32 last_weight;
  s32 active;
  s32 inactive;
  s32 persistent;
  u32 flags;
  u32 upper;
  u32 lower;
  u32 port; /* and family << 16 */
  u32 note; /* the scheduler's own */
  u32 address[4];
};

/* Indexes of src/scheduling/registry.ts. */
enum scheduler { RR = 1, WRR, LC, WLC, SED, NQ, FO, OVF, SH, DH, NONE_SCHEDULER, MH, LBLC, LBLCR, TWOS };

/* ---- services and servers beside the pool, by the same slots */

enum rules_flag { RULES_ONE_PACKET = 1, RULES_EVERY_PORT = 2 /* persistence templates cover all ports */, RULES_SIP = 4, RULES_PROXY_V1 = 8, RULES_PROXY_V2 = 16 };

/* What of a virtual service is not the scheduler's business. Written by TypeScript alone. */
struct rules {
  u32 address[4];   /* or the mark in word 0 */
  u32 mark;         /* 0 for a service with an address */
  u32 persistence;  /* ticks, 0 for none */
  u32 netmask[4];   /* of clients that share a template */
  u16 port;         /* host order; 0 for a mark, and for every port */
  u8 protocol;      /* 0 for a mark */
  u8 family;        /* 4 or 6 */
  u32 flags;
  u32 seconds;      /* persistence as it was configured */
  u32 netmask_setting; /* as in ServiceSettings.netmask */
  u32 serial;       /* counts the services that ever were: their order */
  u32 spare;
};

enum method { MASQ = 0, LOCAL = 1, TUNNEL = 2, DIRECT = 3 };
enum tunnel_kind { TUNNEL_IPIP = 0, TUNNEL_GUE = 1, TUNNEL_GRE = 2 };
enum server_flag { SERVER_LOCAL = 1 /* an address of this host */, SERVER_LOOPBACK = 2 };

/* Interface is one that XDP must not send to: a VLAN device, one without native XDP. */
#define HOP_NO_XDP 0x80000000u

/* Where packets go next; the kernel's answer to bpf_fib_lookup, asked again every second (of servers) or every four (of clients). */
struct hop {
  u32 interface;
  u16 mtu;
  u16 second; /* when it was asked for (clock.h), 0 for never */
  u8 to[6];
  u8 from[6];
};

/* What of a destination is not the scheduler's business. TypeScript writes all but hop and path MTU. */
struct server {
  u32 address[4];
  u16 port;        /* host order; 0: as the client asked */
  u8 family;
  u8 method;
  u8 tunnel;
  u8 tunnel_checksum; /* 0 none, 1 yes, 2 remote checksum offload */
  u16 tunnel_port; /* host order */
  u32 flags;
  struct hop hop;
  u32 path_mtu;    /* that a router told of, 0 for none */
  u32 path_mtu_tick;
  u32 serial;      /* of the service that it belongs to, or belonged to when it was deleted */
  u32 source[4];   /* of tunnels: this host's address towards the server */
  u32 unanswered;  /* how often a client asked again, and no reply had come: see unanswered.h. TypeScript sets it back */
  u32 unanswered_client[4]; /* the last of them */
  u32 more[7];
};

/* ---- flows */

enum life { FREE = 0, TAKEN = 1, LIVE = 2 };
enum flow_flag {
  FLOW_METHOD = 3,    /* mask: enum method */
  FLOW_REPLY = 4,     /* this slot is of the direction from server to client */
  FLOW_REPLIED = 8,   /* a reply came through the director; the reply's slot says so too, so that quiet ones need not look at the forward one */
  FLOW_CONFIRMED = 16, /* spoken both ways: no flood evicts it */
  FLOW_TEMPLATE = 32,
  FLOW_ASSURED = 64,  /* of a template: a connection from it was established */
  FLOW_COUNTED = 64,  /* of a half-open connection: it is in `unpromoted` of struct settings */
  FLOW_ACTIVE = 128,  /* counted as active, else as inactive */
};

/* Slots are named by references: which table in the two top bits, index of the slot in the others. */
#define NO_SLOT 0xffffffffu
#define INDEX_MASK 0x3fffffffu
enum table { FULL = 0, HALF = 1, TEMPLATES = 2 };

/* One direction of a connection, one cache line. A connection of NAT has two, each found by the packets of its direction; of the other methods one.
 * A persistence template is one too, client port 0. For IPv6 `source` and `target` are digests, and the addresses follow in struct flow6. */
struct flow {
  u32 life;
  u32 seen;     /* tick of the last packet in this direction */
  u32 source;
  u32 target;
  u32 ports;    /* as in the TCP or UDP header: source, target */
  u8 protocol;  /* 0 for a template of a firewall mark */
  u8 flags;
  u8 state;     /* TCP state; the reply's is a copy */
  u8 displaced; /* it is not in the first bucket of its key */
  u32 new_address; /* of replies, IPv4: the virtual address; of a template: how many connections refer to it */
  u16 new_port;    /* network order: the destination's port, of replies the virtual port */
  u16 spilled;     /* of a bucket's first slot: how many keys that belong here are in another bucket */
  u32 peer;        /* reference of the other direction, or NO_SLOT */
  u32 server;      /* slot of the destination */
  u32 timeout;     /* ticks */
  union {
    struct hop hop; /* of replies: to the client */
    struct {
      u32 template; /* reference + 1 of the template that chose the destination, 0 for none */
      u32 later[4];
    };
  };
};

struct flow6 {
  struct flow head;
  u32 source[4];
  u32 target[4];
  u32 new_address[4];
  u32 spare[4];
};

#define WAYS 4
struct bucket4 { struct flow slots[WAYS]; };
struct bucket6 { struct flow6 slots[WAYS]; };

#define TABLES 6
/* Of so many buckets in a row, of each table in the order of `used` in struct settings: 1 when a slot may be in use. The sweeper looks there alone. */
#define GROUP 64
struct group { u32 busy[8]; };

/* What a persistence engine found in the packets of a client: the name of a template. What is not used is zero. */
struct template_data {
  u32 network[4]; /* of clients that share the template */
  u32 length;
  u32 spare;
  u8 text[256];
};

/* ---- keys */

struct address { u32 words[4]; };

struct endpoint {
  u32 address[4]; /* or the mark in word 0 */
  u16 port;       /* network order */
  u8 protocol;    /* 0 for a mark */
  u8 family;
};

/* A template with data of a persistence engine: a reference among those of its family. */
struct template_name {
  u32 reference;
  u32 family;
};

struct fragment_key {
  u32 source[4];
  u32 target[4];
  u32 id;
  u8 protocol;
  u8 family;
  u16 spare;
};

/* ---- counters */

/* Of a destination, one row a CPU. */
struct traffic {
  u64 connections;
  u64 in_packets;
  u64 out_packets;
  u64 in_bytes;
  u64 out_bytes;
};

/* What listings show, and how much of `traffic` is in it already: the same five numbers as doubles, which only TypeScript reads and writes. */
struct tally { u64 doubles[5]; };

/* In the order of `dropReasons` in TypeScript. */
enum drop {
  DROP_MALFORMED, DROP_BAD_CHECKSUM, DROP_DESTINATION_DELETED, DROP_TABLE_FULL, DROP_NO_ROUTE, DROP_TOO_LARGE, DROP_DROP_PACKET,
  DROP_TO_LOOPBACK, DROP_UNKNOWN_REPLY, DROP_SOURCE_ROUTED, DROP_MARTIAN, DROP_NO_ENGINE_DATA, DROPS,
};

/* By the low bits of an interface's index: its own MAC address, so that XDP knows which frames are for this host. */
#define CARDS 256
struct card {
  u32 interface;
  u8 mac[6];
  u16 spare[3];
};

#define TCP_STATES 11

/* One record. Host order. TypeScript writes all but the counters at its end. */
struct settings {
  u32 now;          /* tick; goes on with the sweeper's timer, every 10 ms */
  u32 services4;    /* how many virtual services there are of each family */
  u32 services6;
  u32 marks;        /* of firewall marks */
  u16 second;       /* second_of and four_seconds_of that tick */
  u16 four_seconds;
  u32 capture;      /* every how manyth packet is captured, 0 for none */
  u32 engines;      /* with a persistence engine */
  u32 udp_timeout;
  u32 tcp_timeouts[TCP_STATES];
  u32 new_tcp_timeout;
  u32 conn_reuse_mode;
  u32 expire_nodest_conn;
  u32 expire_quiescent_template;
  u32 sloppy_tcp;
  u32 pmtu_disc;
  u32 nat_icmp_send;
  u32 secure_tcp;
  u32 drop_packet;
  u32 am_droprate;
  u32 mss_clamp;    /* 1: SYNs through tunnels are told a smaller maximum segment */
  u32 every_port;   /* how many virtual services there are of port 0 */
  u32 mark_rules;   /* indexes of the rules at which the walk for a mark begins: of IPv4, of IPv6 << 16; 0 for no rules */
  u32 seed[2];      /* hash_seed of whoever made the tables */
  u32 own_packets;  /* 1: a daemon let loopback take packets of this host's own addresses (accept_local): to be put back */
  u32 ftp;          /* how many virtual services there are of TCP port 21 */
  u32 spare[12];    /* what follows changes often: another cache line */
  u32 until_drop;
  u32 identification;
  u32 used[6];      /* slots in use, as of the sweeper's last turn: of full, half-open, templates of IPv4, then of IPv6 */
  u32 refused[2];   /* connections that found no room, by family */
  u32 unpromoted[2]; /* of those in the half-open table that were established when the other one had no room, by family */
  u32 spare2[4];
  struct card cards[CARDS];
};

/* ---- firewall marks */

/* Rules of each family, twice: those in force, and room for those that follow them. */
#define MOST_MARK_RULES 512

/* What `words` hold, and what a packet is asked for. */
enum mark_rule_kind {
  MARK_SET,       /* mark = (mark & words[0]) ^ words[1]; asks nothing */
  MARK_IS,        /* words[0]: which bits; the others: one of these values */
  MARK_PROTOCOLS, /* one bit each */
  MARK_NETWORKS4, /* four addresses with their masks, as on the wire */
  MARK_NETWORK6,  /* an address, its mask */
  MARK_SPANS4,    /* four first and last addresses, host order */
  MARK_SPAN6,     /* first and last address, host order */
  MARK_PORTS,     /* eight: from, to << 16 */
  MARK_INTERFACES, /* eight indexes */
};

enum mark_rule_side { MARK_SOURCE = 1, MARK_TARGET = 2 };

/* A step of the way through the administrator's packet filter. It goes on to a rule with a higher index only; 0 is the end of the way. */
struct mark_rule {
  u8 kind;
  u8 sides;
  u16 if_so;
  u16 if_not;
  u16 spare;
  u32 words[8];
};

/* ---- seeing */

#define CAPTURED_BYTES 1600
#define CAPTURED_INTERFACES 8

enum hook { HOOK_XDP, HOOK_TC };

/* A sampled packet: a record of the ring buffer, without what of `data` the frame does not fill. */
struct captured {
  u64 time;      /* ns of the monotonic clock */
  u32 interface; /* that it came in by */
  u32 length;    /* of the frame */
  s32 verdict;   /* XDP_* or TC_ACT_* */
  u32 hook;
  u8 data[CAPTURED_BYTES];
};

/* What is to be captured, besides settings.capture. One record, TypeScript's but for `lost`. */
struct capturing {
  u32 until; /* a tick that whoever captures moves on: nobody else does when he is gone */
  u32 after; /* 1: as packets are afterwards */
  u32 owner; /* process id */
  u32 lost;  /* found no room in the ring buffer */
  u32 interfaces[CAPTURED_INTERFACES]; /* 0 in the first: all */
};

enum outcome {
  OUTCOME_PASS,       /* left to the host; `reason` is an enum passing */
  OUTCOME_DROP,       /* `reason` is an enum drop */
  OUTCOME_REFUSE,     /* the service has no server to give: the client is told */
  OUTCOME_STRAY,      /* a real server's packet of no connection: it is told */
  OUTCOME_CONNECTION, /* of a connection that there is, from the client */
  OUTCOME_REPLY,      /* of a connection that there is, from the server */
  OUTCOME_NEW,        /* makes a connection */
  OUTCOME_ONE_PACKET, /* goes to a server, and leaves no connection */
  OUTCOME_BEGUN,      /* a real server begins a connection with it */
};

enum passing { PASSING_OTHER, PASSING_NO_SERVICE, PASSING_NO_SYN, PASSING_FTP_DATA };

/* What the director would do with a packet. Host order, but for addresses. */
struct simulated {
  u32 outcome;
  u32 reason;
  u32 service; /* slots, or NO_SLOT */
  u32 server;
  u32 mark;    /* that the packet filter gives it */
  u32 method;
  u32 port;    /* that is put in: the server's, of replies the virtual one */
  u32 address[4]; /* of replies: the virtual one */
  u32 state;   /* of the connection */
  s32 left;    /* ticks until the connection ends, if no packet comes */
  s32 template_left; /* ticks, of the template that chose the server; negative for none, or for one that lives on by its connections */
  u32 has_template;
  u32 ended;   /* 1: a connection that there is ends with this packet */
  s32 route;   /* BPF_FIB_LKUP_RET_* for the next hop, -1 when nobody asked */
  u32 interface;
  u32 mtu;
  u32 knows_neighbour;
  u8 to[6];
  u8 from[6];
  u32 next_family; /* of the gateway, or of who is on the link: 4 or 6 */
  u32 next[4];
};

enum interface_flag { INTERFACE_XDP = 1 /* takes frames that XDP redirects to it */, INTERFACE_NO_ETHERNET = 2 };

/* An interface of this host, and the address that it speaks from. */
struct interface {
  u32 flags;
  u32 address4;
  u32 address6[4];
  u32 mtu;
};

#endif
