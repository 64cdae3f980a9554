/**
 * The argument grammar of the commands that look at this host instead of running a daemon: `directord realserver`, `doctor`, and
 * those of seeing-commands.ts. They are ours, so their options stand anywhere behind the command's name.
 */
import { parseArgs } from 'node:util';
import type { Address } from '../util/ip.ts';
import { canonicalAddress } from '../util/ip.ts';
import type { AttachChoice, EngineChoice, Options } from './directord-arguments.ts';
import type { CaptureCommand, SimulateCommand } from './seeing-commands.ts';
import { parseCapture, parseSimulate } from './seeing-commands.ts';

const ways = ['iptables', 'arp', 'ipip'] as const;

/** How a real server comes to accept packets for a virtual address. */
export type Way = (typeof ways)[number];

export interface RealserverCommand {
  readonly kind: 'realserver';
  /** As typed; undefined looks for ldirectord.cf. */
  readonly config: string | undefined;
  readonly mode: 'print' | 'apply' | 'remove';
  /** Undefined: by the forwarding method of each service. */
  readonly via: Way | undefined;
  /** The real server to be, instead of those that are addresses of this host. */
  readonly as: Address | undefined;
  /** Virtual addresses behind firewall marks, which no configuration tells. */
  readonly marked: readonly Address[];
}

export interface DoctorCommand {
  readonly kind: 'doctor';
  /** Undefined: what holds for every director. */
  readonly config: string | undefined;
  readonly engine: EngineChoice;
  readonly attach: AttachChoice;
}

export type HostCommand = RealserverCommand | DoctorCommand | CaptureCommand | SimulateCommand;

export interface Misunderstood {
  readonly kind: 'usage';
  readonly problems: readonly string[];
}

const names = ['realserver', 'doctor', 'capture', 'simulate'];

/**
 * Whether these words, CONFIG and ACTION without the options before them, ask for a command about this host. A
 * configuration file may be called so as well: with an action behind it, it is one.
 */
export function asksAboutHost(words: readonly string[], isAction: (word: string) => boolean): boolean {
  const [first = '', second] = words;
  return names.includes(first) && (second === undefined || !isAction(second));
}

/** @param before what the options before the command say */
export function parseHostCommand(
  [name = '', ...args]: readonly string[],
  before: Pick<Options, 'engine' | 'attach' | 'control'>,
): HostCommand | Misunderstood | { readonly kind: 'help' } {
  try {
    if (name === 'capture') return parseCapture(args, before.control);
    if (name === 'simulate') return parseSimulate(args, before.control);
    return name === 'doctor' ? parseDoctor(args, before) : parseRealserver(args);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') !== true) throw error;
    return { kind: 'usage', problems: [`${name}: ${(error as Error).message.split('. ')[0] ?? ''}`] };
  }
}

function parseRealserver(args: readonly string[]): RealserverCommand | Misunderstood | { kind: 'help' } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      apply: { type: 'boolean', default: false },
      remove: { type: 'boolean', default: false },
      via: { type: 'string' },
      as: { type: 'string' },
      vip: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return { kind: 'help' };
  const problems = tooMany('realserver', positionals);
  if (values.apply && values.remove) problems.push('realserver: --apply and --remove exclude each other');
  const via = ways.find((way) => way === values.via);
  if (values.via !== undefined && via === undefined)
    problems.push(`realserver: Unknown way: ${values.via} (one of ${ways.join(', ')})`);
  const address = (option: string, text: string): Address => {
    const found = canonicalAddress(text);
    if (found === undefined) problems.push(`realserver: ${option} ${text}: not an IP address`);
    return found ?? text;
  };
  const as = values.as === undefined ? undefined : address('--as', values.as);
  const marked = values.vip.flatMap((list) => list.split(',')).map((text) => address('--vip', text));
  if (problems.length > 0) return { kind: 'usage', problems };
  const mode = values.apply ? 'apply' : values.remove ? 'remove' : 'print';
  return { kind: 'realserver', config: positionals[0], mode, via, as, marked };
}

function parseDoctor(
  args: readonly string[],
  before: Pick<Options, 'engine' | 'attach'>,
): DoctorCommand | Misunderstood | { kind: 'help' } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      engine: { type: 'string' },
      attach: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return { kind: 'help' };
  const problems = tooMany('doctor', positionals);
  const engine = engines.find((choice) => choice === (values.engine ?? before.engine));
  if (engine === undefined)
    problems.push(`doctor: Unknown engine: ${values.engine ?? ''} (one of ${engines.join(', ')})`);
  const attach = attachments.find((choice) => choice === (values.attach ?? before.attach));
  if (attach === undefined)
    problems.push(`doctor: Unknown attachment: ${values.attach ?? ''} (one of ${attachments.join(', ')})`);
  if (problems.length > 0 || engine === undefined || attach === undefined) return { kind: 'usage', problems };
  return { kind: 'doctor', config: positionals[0], engine, attach };
}

const engines: readonly EngineChoice[] = ['auto', 'relay', 'packet', 'ebpf'];
const attachments: readonly AttachChoice[] = ['auto', 'xdp', 'tc'];

function tooMany(name: string, words: readonly string[]): string[] {
  return words.length > 1 ? [`${name}: one configuration file at most: ${words.join(' ')}`] : [];
}
