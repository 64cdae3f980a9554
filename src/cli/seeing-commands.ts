/**
 * The argument grammar of the commands that look into the ebpf engine: `directord capture` and `directord simulate`. They talk to what is
 * in the kernel, so --control only names which daemon's that is.
 */
import { parseArgs } from 'node:util';
import type { Address } from '../util/ip.ts';
import { canonicalAddress, familyOf } from '../util/ip.ts';

export interface CaptureCommand {
  readonly kind: 'capture';
  /** Names; all when empty. */
  readonly interfaces: readonly string[];
  /** Every how manyth packet. */
  readonly every: number;
  /** Undefined: until somebody ends it. */
  readonly count: number | undefined;
  /** As packets are when the director is done with them. */
  readonly after: boolean;
  /** pcapng, which tells interface and verdict, instead of pcap. */
  readonly ng: boolean;
  readonly control: string | undefined;
}

export interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

export interface SimulateCommand {
  readonly kind: 'simulate';
  readonly protocol: 'tcp' | 'udp';
  readonly source: Endpoint;
  readonly target: Endpoint;
  /** Undefined: the one that the way to the source begins with. */
  readonly interface: string | undefined;
  /** Of TCP, as in its header. */
  readonly flags: number;
  readonly json: boolean;
  readonly control: string | undefined;
}

interface Refused {
  readonly kind: 'usage';
  readonly problems: readonly string[];
}

type Help = { readonly kind: 'help' };

const mostSkipped = 2 ** 31 - 1;

/** @param control as named before the command @throws as node:util's parseArgs */
export function parseCapture(
  args: readonly string[],
  control: string | undefined,
): CaptureCommand | Refused | Help {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      every: { type: 'string', default: '1' },
      count: { type: 'string' },
      after: { type: 'boolean', default: false },
      ng: { type: 'boolean', default: false },
      control: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return { kind: 'help' };
  const problems: string[] = [];
  const number = (option: string, text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : 0;
    if (value < 1 || value > mostSkipped) problems.push(`capture: ${option} ${text}: a number from 1 on`);
    return value;
  };
  const every = number('--every', values.every);
  const count = values.count === undefined ? undefined : number('--count', values.count);
  if (problems.length > 0) return { kind: 'usage', problems };
  const { after, ng } = values;
  return {
    kind: 'capture',
    interfaces: positionals,
    every,
    count,
    after,
    ng,
    control: values.control ?? control,
  };
}

const flagBits: ReadonlyMap<string, number> = new Map([
  ['F', 1],
  ['S', 2],
  ['R', 4],
  ['P', 8],
  ['A', 16],
  ['U', 32],
]);

/** @param control as named before the command @throws as node:util's parseArgs */
export function parseSimulate(
  args: readonly string[],
  control: string | undefined,
): SimulateCommand | Refused | Help {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      interface: { type: 'string' },
      flags: { type: 'string' },
      json: { type: 'boolean', default: false },
      control: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return { kind: 'help' };
  const [word = '', from = '', to = ''] = positionals;
  if (positionals.length !== 3)
    return {
      kind: 'usage',
      problems: ['simulate: PROTO SRC:PORT VIP:PORT, as in tcp 10.9.0.7:40000 10.1.0.100:80'],
    };
  const problems: string[] = [];
  const protocol = word.toLowerCase();
  if (protocol !== 'tcp' && protocol !== 'udp') problems.push(`simulate: ${word}: neither tcp nor udp`);
  const [source, target] = [from, to].map(parseEndpoint);
  if (source === undefined) problems.push(`simulate: ${from}: no ADDRESS:PORT`);
  if (target === undefined) problems.push(`simulate: ${to}: no ADDRESS:PORT`);
  if (source && target && familyOf(source.address) !== familyOf(target.address))
    problems.push('simulate: one address is of IPv4 and one of IPv6');
  const letters = (values.flags ?? 'S').toUpperCase();
  const flags = Array.from(letters).reduce((bits, letter) => bits | (flagBits.get(letter) ?? 0), 0);
  if (Array.from(letters).some((letter) => !flagBits.has(letter)))
    problems.push(`simulate: --flags ${values.flags ?? ''}: letters of ${[...flagBits.keys()].join('')}`);
  if (values.flags !== undefined && protocol === 'udp') problems.push('simulate: --flags are of tcp');
  if (problems.length > 0 || source === undefined || target === undefined) return { kind: 'usage', problems };
  return {
    kind: 'simulate',
    protocol: protocol === 'tcp' ? 'tcp' : 'udp',
    source,
    target,
    interface: values.interface,
    flags: protocol === 'tcp' ? flags : 0,
    json: values.json,
    control: values.control ?? control,
  };
}

/** `10.1.0.100:80`, `[2001:db8::1]:80`. */
function parseEndpoint(text: string): Endpoint | undefined {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]*)]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const address = canonicalAddress(bracketed ?? plain ?? '');
  const port = Number(digits);
  if (address === undefined || digits === '' || port > 65535) return undefined;
  if ((bracketed === undefined) !== (familyOf(address) === 'inet')) return undefined;
  return { address, port };
}
