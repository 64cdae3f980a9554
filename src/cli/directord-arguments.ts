/**
 * The argument grammar of `directord`, which is ldirectord's: options, then CONFIG and ACTION, then words that are
 * ignored. Our own long options are understood behind ACTION too, so that none of them is ever dropped in silence.
 */
import type { HostCommand } from './host-commands.ts';
import { asksAboutHost, parseHostCommand } from './host-commands.ts';

const actions = [
  'start',
  'stop',
  'restart',
  'try-restart',
  'reload',
  'force-reload',
  'status',
  'check',
] as const;

export type Action = (typeof actions)[number];

const engineChoices = ['auto', 'relay', 'packet', 'ebpf'] as const;

export type EngineChoice = (typeof engineChoices)[number];

const attachChoices = ['auto', 'xdp', 'tc'] as const;

/** Where on interfaces the ebpf engine is attached. */
export type AttachChoice = (typeof attachChoices)[number];

/** Connections that the tables of the ebpf engine may be asked to have room for. */
const fewestConnections = 1024;
const mostConnections = 2 ** 24;

export interface Options {
  /** `-d`: stay in the foreground, log to stderr, write no pid file. */
  readonly debug: boolean;
  /** `-f`: stay in the foreground, but with pid file and log as configured. */
  readonly foreground: boolean;
  readonly engine: EngineChoice;
  /** Path of the control socket; undefined leaves the choice to `DIRECTORD_CONTROL` and the default. */
  readonly control: string | undefined;
  /** False with `--no-monitor`: a director alone, without a configuration. */
  readonly monitor: boolean;
  /** `conn_reuse_mode=0` and the like: knobs of IPVS for the engines that forward packets. */
  readonly sysctls: readonly string[];
  readonly attach: AttachChoice;
  /** Undefined leaves the size of the ebpf engine's tables to it. */
  readonly connections: number | undefined;
  /** Tunnels of the ebpf engine lower the largest segment that a SYN tells. */
  readonly mssClamp: boolean;
  /** With `check`: asks each real server once. */
  readonly probe: boolean;
  /** With `status`: for programs. */
  readonly json: boolean;
}

export type CommandLine =
  | HostCommand
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  /** Not understood. `problems` are lines for stderr; `hint` is one that ldirectord does not print. */
  | { readonly kind: 'usage'; readonly problems: readonly string[]; readonly hint?: string }
  | {
      readonly kind: 'action';
      readonly action: Action;
      /** As typed; undefined with the one-word form. */
      readonly config: string | undefined;
      readonly options: Options;
      /** CONFIG and ACTION as typed, without options: what the log calls the arguments. */
      readonly words: readonly string[];
      /** Words behind ACTION that look like options and are ignored, as ldirectord ignores them. */
      readonly ignored: readonly string[];
    };

const flags = [
  'd',
  'debug',
  'f',
  'foreground',
  'h',
  '?',
  'help',
  'v',
  'version',
  'no-monitor',
  'mss-clamp',
  'probe',
  'json',
];
const valued = ['engine', 'control', 'sysctl', 'attach', 'connections'];
const ownAnywhere = ['foreground', 'no-monitor', 'mss-clamp', 'probe', 'json', ...valued];

/** @param args everything behind the program's name */
export async function parseArguments(args: readonly string[]): Promise<CommandLine> {
  const { default: Parser } = await import('yargs-parser');
  const parse = (words: readonly string[], names: readonly string[], style: object): Fields => {
    const { argv, error } = Parser.detailed([...words], {
      boolean: flags.filter((name) => names.includes(name)),
      // A flag of yargs would otherwise swallow a following CONFIG that is called `true`.
      narg: Object.fromEntries(flags.filter((name) => names.includes(name)).map((name) => [name, 0])),
      string: [...valued],
      configuration: { ...grammar, ...style },
    });
    return fields(argv, error?.message);
  };
  const front = parse(args, flags, { 'halt-at-non-option': true });
  const rest = front.words;
  const literal = args.at(-rest.length - 1) === '--';
  // yargs takes `-6` for a negative number.
  const number = literal ? undefined : /^-(\d.*)/.exec(rest[0] ?? '')?.[1];
  if (number !== undefined) return { kind: 'usage', problems: [`Unknown option: ${number}`] };
  if (!literal && asksAboutHost(rest, isAction)) return interpretHostCommand(front, rest);
  if (literal) return interpret(front, rest);
  const back = parse(rest, ownAnywhere, { 'unknown-options-as-args': true });
  return interpret(
    {
      options: new Map([...front.options, ...back.options]),
      problems: [...front.problems, ...back.problems],
    },
    back.words,
  );
}

const grammar = {
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'boolean-negation': false,
  'duplicate-arguments-array': false,
  'populate--': true,
};

interface Fields {
  readonly options: ReadonlyMap<string, unknown>;
  readonly words: readonly string[];
  readonly problems: readonly string[];
}

function fields(parsed: Readonly<Record<string, unknown>>, error: string | undefined): Fields {
  const { _: words, '--': halted, ...rest } = parsed;
  const options = new Map(Object.entries(rest));
  // `--_` overwrites the list of words; for us it is one more unknown option.
  if (!Array.isArray(words)) options.set('_', true);
  return {
    options,
    words: [words, halted].flatMap((list) => (Array.isArray(list) ? list.map(String) : [])),
    problems: error === undefined ? [] : [error],
  };
}

function interpretHostCommand({ options, problems }: Fields, words: readonly string[]): CommandLine {
  // What stands before the command is judged as if the command were an action.
  const before = interpret({ options, problems }, ['start']);
  return before.kind === 'action' ? parseHostCommand(words, before.options) : before;
}

function interpret(found: Omit<Fields, 'words'>, words: readonly string[]): CommandLine {
  const { options } = found;
  const has = (...names: string[]): boolean => names.some((name) => options.get(name) === true);
  const problems = [...found.problems];
  for (const [name, value] of options) {
    if (!flags.includes(name) && !valued.includes(name)) problems.push(`Unknown option: ${name}`);
    // yargs reads `-d5` as a flag that was denied.
    if (value === false) problems.push(`Option ${name} does not take an argument`);
  }
  for (const name of valued) {
    if (options.get(name) === '') problems.push(`Option ${name} requires an argument`);
  }
  const engine = textOf(options.get('engine')) ?? 'auto';
  if (engine !== '' && !isEngineChoice(engine)) {
    problems.push(`Unknown engine: ${engine} (one of ${engineChoices.join(', ')})`);
  }
  const attach = textOf(options.get('attach')) ?? 'auto';
  if (attach !== '' && !isAttachChoice(attach)) {
    problems.push(`Unknown attachment: ${attach} (one of ${attachChoices.join(', ')})`);
  }
  const room = textOf(options.get('connections'));
  const connections = room === undefined || room === '' ? undefined : Number(room);
  if (connections !== undefined && !isRoom(connections)) {
    problems.push(`Option connections is a number from ${fewestConnections} to ${mostConnections}: ${room}`);
  }
  const [config, action] = words.length < 2 ? [undefined, words[0]] : words;
  const monitor = !has('no-monitor');
  if (!monitor && action === 'check') problems.push('With --no-monitor there is no configuration to check');
  if (has('probe') && action !== 'check') problems.push('Option probe belongs to the action check');
  if (has('json') && action !== 'status') problems.push('Option json belongs to the action status');
  if (!monitor && config !== undefined)
    problems.push(`With --no-monitor no configuration is read: ${config}`);
  if (problems.length > 0 || !isEngineChoice(engine) || !isAttachChoice(attach))
    return { kind: 'usage', problems };
  if (has('h', '?', 'help')) return { kind: 'help' };
  if (has('v', 'version')) return { kind: 'version' };
  if (!isAction(action)) {
    const hint = action === undefined ? 'No action' : `Unknown action: ${action}`;
    return { kind: 'usage', problems, hint: `${hint} (one of ${actions.join(', ')})` };
  }
  return {
    kind: 'action',
    action,
    config,
    options: {
      debug: has('d', 'debug'),
      foreground: has('f', 'foreground'),
      engine,
      control: textOf(options.get('control')),
      monitor,
      sysctls: (textOf(options.get('sysctl')) ?? '').split(',').filter((word) => word !== ''),
      attach,
      connections,
      mssClamp: has('mss-clamp'),
      probe: has('probe'),
      json: has('json'),
    },
    words: words.slice(0, 2),
    ignored: words.slice(2).filter((word) => word.startsWith('-')),
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isAction(word: string | undefined): word is Action {
  return actions.some((action) => action === word);
}

function isEngineChoice(value: string): value is EngineChoice {
  return engineChoices.some((choice) => choice === value);
}

function isAttachChoice(value: string): value is AttachChoice {
  return attachChoices.some((choice) => choice === value);
}

function isRoom(connections: number): boolean {
  return Number.isInteger(connections) && connections >= fewestConnections && connections <= mostConnections;
}
