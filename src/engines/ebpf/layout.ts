/**
 * The records that BPF programs and TypeScript share, as bpf/types.h has them: offsets in bytes and the numbers that stand in them. A
 * test has the C compiler compare both. Machine's order is little endian.
 */

export const Rules = {
  bytes: 64,
  address: 0,
  mark: 16,
  persistence: 20,
  netmask: 24,
  port: 40,
  protocol: 42,
  family: 43,
  flags: 44,
  seconds: 48,
  netmaskSetting: 52,
  serial: 56,
} as const;

export const RulesFlag = { onePacket: 1, everyPort: 2, sip: 4, proxyV1: 8, proxyV2: 16 } as const;

export const Server = {
  bytes: 128,
  address: 0,
  port: 16,
  family: 18,
  method: 19,
  tunnel: 20,
  tunnelChecksum: 21,
  tunnelPort: 22,
  flags: 24,
  hop: 28,
  pathMtu: 48,
  pathMtuTick: 52,
  serial: 56,
  source: 60,
  unanswered: 76,
  unansweredClient: 80,
} as const;

/** Part of {@link Server}, {@link Flow}. */
export const Hop = { bytes: 20, interface: 0, mtu: 4, second: 6, to: 8, from: 14 } as const;

export const ServerFlag = { local: 1, loopback: 2 } as const;

/** Of {@link Settings.cards}; six bytes at its end are spare. */
export const Card = { bytes: 16, interface: 0, mac: 4 } as const;

export const Interface = { bytes: 28, flags: 0, address4: 4, address6: 8, mtu: 24 } as const;

export const Life = { free: 0, taken: 1, live: 2 } as const;

export const FlowFlag = { reply: 4, template: 32, assured: 64 } as const;

/** Of IPv4; of IPv6 the head of {@link Flow6}. */
export const Flow = {
  bytes: 64,
  life: 0,
  seen: 4,
  source: 8,
  target: 12,
  ports: 16,
  protocol: 20,
  flags: 21,
  state: 22,
  newAddress: 24,
  newPort: 28,
  peer: 32,
  server: 36,
  timeout: 40,
} as const;

export const Flow6 = { bytes: 128, source: 64, target: 80 } as const;

/** Slots of a bucket. */
export const ways = 4;

/** References name a slot: its table in the two top bits. */
export const noSlot = 0xffff_ffff;
export const indexMask = 0x3fff_ffff;
export const FlowTable = { full: 0, half: 1, templates: 2 } as const;

export const Endpoint = { bytes: 20, address: 0, port: 16, protocol: 18, family: 19 } as const;

/** Five numbers of 64 bits: the order is that of `counterNames`. */
export const Traffic = {
  bytes: 40,
  connections: 0,
  inPackets: 8,
  outPackets: 16,
  inBytes: 24,
  outBytes: 32,
} as const;

export const Settings = {
  bytes: 4352,
  now: 0,
  services4: 4,
  services6: 8,
  marks: 12,
  second: 16,
  fourSeconds: 18,
  capture: 20,
  engines: 24,
  udpTimeout: 28,
  tcpTimeouts: 32,
  newTcpTimeout: 76,
  connReuseMode: 80,
  expireNodestConn: 84,
  expireQuiescentTemplate: 88,
  sloppyTcp: 92,
  pmtuDisc: 96,
  natIcmpSend: 100,
  secureTcp: 104,
  dropPacket: 108,
  amDroprate: 112,
  mssClamp: 116,
  everyPort: 120,
  markRules: 124,
  seed: 128,
  ownPackets: 136,
  ftp: 140,
  untilDrop: 192,
  identification: 196,
  used: 200,
  refused: 224,
  unpromoted: 232,
  cards: 256,
} as const;

/** What `directord capture` asks for, and what it gets. */
export const Capturing = { bytes: 48, until: 0, after: 4, owner: 8, lost: 12, interfaces: 16 } as const;
export const capturedInterfaces = 8;
/** Kept of a frame at most. */
export const capturedBytes = 1600;

export const Captured = {
  /** At most: how many there are is the record's length. */
  bytes: 1624,
  time: 0,
  interface: 8,
  length: 12,
  verdict: 16,
  hook: 20,
  data: 24,
} as const;

export const Hook = { xdp: 0, tc: 1 } as const;

/** The answer of the program `simulate`; slots are {@link noSlot} where there is none. */
export const Simulated = {
  bytes: 112,
  outcome: 0,
  reason: 4,
  service: 8,
  server: 12,
  mark: 16,
  method: 20,
  port: 24,
  address: 28,
  state: 44,
  left: 48,
  templateLeft: 52,
  hasTemplate: 56,
  ended: 60,
  route: 64,
  interface: 68,
  mtu: 72,
  knowsNeighbour: 76,
  to: 80,
  from: 86,
  nextFamily: 92,
  next: 96,
} as const;

/** In the order of enum outcome. */
export const outcomes = [
  'pass',
  'drop',
  'refuse',
  'stray',
  'connection',
  'reply',
  'new',
  'one-packet',
  'begun',
] as const;

/** Of packets that pass: in the order of enum passing. */
export const passings = ['other', 'no-service', 'no-syn', 'ftp-data'] as const;

/** Which template has data of a persistence engine. */
export const TemplateName = { bytes: 8, reference: 0, family: 4 } as const;

export const TemplateData = { bytes: 280, network: 0, length: 16, text: 24 } as const;

/** A step of the way to a packet's firewall mark. */
export const MarkRule = { bytes: 40, kind: 0, sides: 1, ifSo: 2, ifNot: 4, words: 8 } as const;

export const MarkRuleKind = {
  set: 0,
  is: 1,
  protocols: 2,
  networks4: 3,
  network6: 4,
  spans4: 5,
  span6: 6,
  ports: 7,
  interfaces: 8,
} as const;

export const MarkRuleSide = { source: 1, target: 2 } as const;

/** Of one family; the map has room for twice as many of each. */
export const mostMarkRules = 512;

/** Entries of every slot table; sh and dh need 256 of them. */
export const slotTableEntries = 4096;

/** What stays out of every record; for the names of pins, so that programs never meet records of another version. */
const revision = 2;

/** Differs when any record does. */
export const layoutVersion = `${revision}-${fingerprint(JSON.stringify([Rules, Server, Card, Interface, Flow, Flow6, ways, Endpoint, Traffic, Settings, Capturing, Captured, TemplateName, TemplateData, MarkRule, MarkRuleKind, mostMarkRules]))}`;

/** FNV-1a. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}
