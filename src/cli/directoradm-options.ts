/**
 * The options of directoradm, and how words become options: as the popt library reads them, which is what ipvsadm
 * does. Short options bundle (`-Ln`, `-At ADDR`, `-tADDR`), long ones are never abbreviated, options and other words mix.
 */
import { CommandFault } from './directoradm-faults.ts';

export type CommandName =
  | 'add-service'
  | 'edit-service'
  | 'delete-service'
  | 'flush'
  | 'list'
  | 'add-server'
  | 'delete-server'
  | 'edit-server'
  | 'set'
  | 'start-daemon'
  | 'stop-daemon'
  | 'restore'
  | 'save'
  | 'zero'
  | 'help'
  | 'version'
  // ours
  | 'proc';

/** Options by their names in messages, in the order in which ipvsadm looks whether a command takes them. */
export const optionNames = [
  'numeric',
  'connection',
  'service-address',
  'scheduler',
  'persistent',
  'netmask',
  'real-server',
  'forwarding-method',
  'weight',
  'u-threshold',
  'l-threshold',
  'mcast-interface',
  'timeout',
  'daemon',
  'stats',
  'rate',
  'thresholds',
  'persistent-conn',
  'nosort',
  'syncid',
  'exact',
  'ops',
  'pe',
  'sched-flags',
  'mcast-group',
  'mcast-port',
  'mcast-ttl',
  'sync-maxlen',
  'tun-info',
  'tun-type',
  'tun-port',
  'tun-nocsum',
  'tun-csum',
  'tun-remcsum',
  // ours
  'proxy-protocol',
  'json',
  'tables',
] as const;

export type OptionName = (typeof optionNames)[number];

interface Spelling {
  readonly long: string;
  readonly short?: string;
  readonly value: 'none' | 'required' | 'optional';
}

export type Option = Spelling &
  (
    | { readonly kind: 'command'; readonly command: CommandName }
    /** Several spellings may be one option: `-t`, `-u` and `-f` are all service-address. */
    | { readonly kind: 'option'; readonly name: OptionName }
    /** Not in the table of what a command takes. */
    | { readonly kind: 'free'; readonly name: 'ipv6' | 'sort' | 'control' }
  );

function command(
  long: string,
  short: string | undefined,
  name: CommandName,
  value: Spelling['value'] = 'none',
): Option {
  return { kind: 'command', long, value, command: name, ...(short === undefined ? {} : { short }) };
}

function option(long: string, short: string | undefined, name: OptionName, value: Spelling['value']): Option {
  return { kind: 'option', long, value, name, ...(short === undefined ? {} : { short }) };
}

const options: readonly Option[] = [
  command('add-service', 'A', 'add-service'),
  command('edit-service', 'E', 'edit-service'),
  command('delete-service', 'D', 'delete-service'),
  command('clear', 'C', 'flush'),
  command('list', 'L', 'list'),
  command('list', 'l', 'list'),
  command('zero', 'Z', 'zero'),
  command('add-server', 'a', 'add-server'),
  command('edit-server', 'e', 'edit-server'),
  command('delete-server', 'd', 'delete-server'),
  command('set', undefined, 'set'),
  command('help', 'h', 'help'),
  command('version', 'v', 'version'),
  command('restore', 'R', 'restore'),
  command('save', 'S', 'save'),
  command('start-daemon', undefined, 'start-daemon', 'required'),
  command('stop-daemon', undefined, 'stop-daemon', 'required'),
  command('proc', undefined, 'proc', 'required'),
  option('tcp-service', 't', 'service-address', 'required'),
  option('udp-service', 'u', 'service-address', 'required'),
  option('sctp-service', undefined, 'service-address', 'required'),
  option('fwmark-service', 'f', 'service-address', 'required'),
  option('scheduler', 's', 'scheduler', 'required'),
  option('persistent', 'p', 'persistent', 'optional'),
  option('netmask', 'M', 'netmask', 'required'),
  option('real-server', 'r', 'real-server', 'required'),
  option('masquerading', 'm', 'forwarding-method', 'none'),
  option('ipip', 'i', 'forwarding-method', 'none'),
  option('gatewaying', 'g', 'forwarding-method', 'none'),
  option('weight', 'w', 'weight', 'required'),
  option('u-threshold', 'x', 'u-threshold', 'required'),
  option('l-threshold', 'y', 'l-threshold', 'required'),
  option('numeric', 'n', 'numeric', 'none'),
  option('connection', 'c', 'connection', 'none'),
  option('mcast-interface', undefined, 'mcast-interface', 'required'),
  option('syncid', undefined, 'syncid', 'required'),
  option('timeout', undefined, 'timeout', 'none'),
  option('daemon', undefined, 'daemon', 'none'),
  option('stats', undefined, 'stats', 'none'),
  option('rate', undefined, 'rate', 'none'),
  option('thresholds', undefined, 'thresholds', 'none'),
  option('persistent-conn', undefined, 'persistent-conn', 'none'),
  option('nosort', undefined, 'nosort', 'none'),
  option('exact', 'X', 'exact', 'none'),
  option('ops', 'o', 'ops', 'none'),
  option('pe', undefined, 'pe', 'required'),
  option('sched-flags', 'b', 'sched-flags', 'required'),
  option('mcast-group', undefined, 'mcast-group', 'required'),
  option('mcast-port', undefined, 'mcast-port', 'required'),
  option('mcast-ttl', undefined, 'mcast-ttl', 'required'),
  option('sync-maxlen', undefined, 'sync-maxlen', 'required'),
  option('tun-info', undefined, 'tun-info', 'none'),
  option('tun-type', undefined, 'tun-type', 'required'),
  option('tun-port', undefined, 'tun-port', 'required'),
  option('tun-nocsum', undefined, 'tun-nocsum', 'none'),
  option('tun-csum', undefined, 'tun-csum', 'none'),
  option('tun-remcsum', undefined, 'tun-remcsum', 'none'),
  option('proxy-protocol', undefined, 'proxy-protocol', 'required'),
  option('json', undefined, 'json', 'none'),
  option('tables', undefined, 'tables', 'none'),
  { kind: 'free', name: 'ipv6', long: 'ipv6', short: '6', value: 'none' },
  { kind: 'free', name: 'sort', long: 'sort', value: 'none' },
  { kind: 'free', name: 'control', long: 'control', value: 'required' },
];

const byLong = new Map(options.map((each) => [each.long, each]));
const byShort = new Map(options.flatMap((each) => (each.short === undefined ? [] : [[each.short, each]])));

export interface FoundOption {
  readonly option: Option;
  /** Undefined when the option has none, or an optional one was not given. */
  readonly value: string | undefined;
  /** The last word that was used for it, which is what messages about the option show. */
  readonly word: string;
}

/** Goes through the words once, from left to right. */
export class OptionReader {
  readonly #words: readonly string[];
  #next = 0;
  /** What is left of a word of bundled short options. */
  #bundle = '';
  #onlyWords = false;
  /** Words that were no options, complete when {@link next} has returned undefined. */
  readonly rest: string[] = [];

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  get wordCount(): number {
    return this.#words.length;
  }

  /** The next option, or undefined at the end. @throws CommandFault */
  next(): FoundOption | undefined {
    if (this.#bundle !== '') return this.#short();
    for (;;) {
      const word = this.#words[this.#next];
      if (word === undefined) return undefined;
      this.#next++;
      if (this.#onlyWords || !word.startsWith('-') || word === '-') {
        this.rest.push(word);
      } else if (word === '--') {
        this.#onlyWords = true;
      } else if (word.startsWith('--')) {
        return this.#long(word);
      } else {
        this.#bundle = word.slice(1);
        return this.#short();
      }
    }
  }

  #long(word: string): FoundOption {
    const cut = word.indexOf('=');
    const found = byLong.get(word.slice(2, cut === -1 ? undefined : cut));
    if (found === undefined) throw new CommandFault(`${word}: unknown option`);
    const glued = cut === -1 ? undefined : word.slice(cut + 1);
    if (found.value !== 'none') return this.#withValue(found, glued);
    if (glued !== undefined) throw new CommandFault(`${word}: option does not take an argument`);
    return { option: found, value: undefined, word };
  }

  #short(): FoundOption {
    const found = byShort.get(this.#bundle.slice(0, 1));
    if (found === undefined) throw new CommandFault(`${this.#word()}: unknown option`);
    this.#bundle = this.#bundle.slice(1);
    if (found.value === 'none') {
      if (this.#bundle.startsWith('='))
        throw new CommandFault(`${this.#word()}: option does not take an argument`);
      return { option: found, value: undefined, word: this.#word() };
    }
    const glued = this.#bundle === '' ? undefined : this.#bundle.replace(/^=/, '');
    this.#bundle = '';
    return this.#withValue(found, glued);
  }

  #withValue(found: Option, glued: string | undefined): FoundOption {
    if (glued !== undefined) return { option: found, value: glued, word: this.#word() };
    const following = this.#words[this.#next];
    if (found.value === 'optional' && (following === undefined || following.startsWith('-'))) {
      return { option: found, value: undefined, word: this.#word() };
    }
    if (following === undefined) throw new CommandFault(`${this.#word()}: missing argument`);
    this.#next++;
    return { option: found, value: following, word: following };
  }

  #word(): string {
    return this.#words[this.#next - 1] ?? '';
  }
}
