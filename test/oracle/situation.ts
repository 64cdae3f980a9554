/** A situation that every forwarding method is put into, and the words that situations are told with. */
import type { Step } from '../support/story.ts';
import type { Addresses, Talk, Version } from './place.ts';

export interface Method {
  readonly name: string;
  readonly words: string;
  readonly serverPort: number;
  /** Does the reply pass the director? */
  readonly nat: boolean;
  /** What the tunnel adds. */
  readonly overhead: number;
}

export const methods: readonly Method[] = [
  { name: 'masq', words: '-m', serverPort: 80, nat: true, overhead: 0 },
  { name: 'masq-mapped', words: '-m', serverPort: 8080, nat: true, overhead: 0 },
  { name: 'gate', words: '-g', serverPort: 80, nat: false, overhead: 0 },
  { name: 'ipip', words: '-i', serverPort: 80, nat: false, overhead: 20 },
  { name: 'gue', words: '-i --tun-type gue --tun-port 6080', serverPort: 80, nat: false, overhead: 32 },
  {
    name: 'gue-csum',
    words: '-i --tun-type gue --tun-port 6080 --tun-csum',
    serverPort: 80,
    nat: false,
    overhead: 32,
  },
  { name: 'gre', words: '-i --tun-type gre', serverPort: 80, nat: false, overhead: 24 },
  { name: 'gre-csum', words: '-i --tun-type gre --tun-csum', serverPort: 80, nat: false, overhead: 28 },
];

/** One method in one family. */
export interface Setting {
  readonly method: Method;
  readonly version: Version;
  readonly at: Addresses;
  readonly talk: Talk;
}

export interface Situation {
  readonly name: string;
  readonly about: string;
  readonly protocol: 'tcp' | 'udp';
  /** For which methods it says something; by default for all. */
  readonly methods?: (method: Method) => boolean;
  readonly versions?: readonly Version[];
  readonly sysctl?: Readonly<Record<string, number>>;
  readonly mtu?: number;
  readonly steps: (setting: Setting) => readonly Step[];
}

export const mss = { options: '020405b4' };

const plainMethods = ['masq', 'masq-mapped', 'gate', 'ipip'];
export const plainly = ({ name }: Method) => plainMethods.includes(name);
export const nat = (method: Method) => method.nat;
export const tunnel = ({ overhead }: Method) => overhead > 0;
/** One that maps nothing is as good as another. */
export const anyone = ({ name }: Method) => name === 'masq';

export function open({ talk, method }: Setting): Step[] {
  return [
    talk.tcp('S', { seq: 1000, ...mss }),
    ...(method.nat ? [talk.tcpBack('SA', { seq: 5000, ack: 1001, ...mss })] : []),
    talk.tcp('A', { seq: 1001, ack: 5001 }),
  ];
}

/** Steps that are there where replies pass the director. */
export function ifNat({ method }: Setting, ...steps: readonly Step[]): readonly Step[] {
  return method.nat ? steps : [];
}

export const tooBig = (version: Version) => (version === 'v4' ? 'fragmentation needed' : 'packet too big');
