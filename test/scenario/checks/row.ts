/**
 * One row of the table of checks: `directord ld.cf check --probe` against a real server program in seven situations. Rows are printed, and
 * written to the file that DIRECTORD_CHECK_TABLE names.
 */
import { appendFileSync } from 'node:fs';
import t from 'tap';
import { directord, which } from '../lab/paths.ts';
import { interposeTcp, interposeUdp, type Interposer } from './interposer.ts';
import { Place } from './place.ts';

export interface Row {
  /** As in `service=`, or a check type. */
  readonly service: string;
  /** Program that must be there, or else the row is skipped: `dovecot`. */
  readonly program: string;
  /** Asks the program what it is. @returns for people: `dovecot 2.3.19.1` */
  version(place: Place): Promise<string>;
  /** Starts the server on 127.0.0.1 and ::1. */
  start(place: Place): Promise<Ports>;
  readonly protocol?: 'tcp' | 'udp';
  /** Lines of the section for a server that is well, without indentation: `service=imap`, `login="joe"`. */
  readonly good: readonly string[];
  /** The same for what makes the good server's answer a wrong one. */
  readonly wrong: readonly string[];
  /** After how many bytes of its answers the server is cut off. */
  readonly half?: number;
  /** Situations that this check cannot tell from others, and why: what the table says instead. */
  readonly notApplicable?: Partial<Record<Situation['name'], string>>;
  /** Put before the command: `env`, `SSL_CERT_FILE=...`. */
  prefix?(place: Place): readonly string[];
  /** What the check says in each situation; `silent` and `slow` are always the deadline. */
  readonly details: {
    readonly up: RegExp;
    readonly wrong?: RegExp;
    /** Default: Connection refused. */
    readonly refused?: RegExp;
    readonly half?: RegExp;
  };
  /** Seconds of `checktimeout` and `negotiatetimeout`. Default 2. */
  readonly deadline?: number;
}

/** A number: the server's port. Else where it is well, and where else it gives wrong answers or none, if it does. */
export type Ports = number | { readonly good: number; readonly wrong?: number; readonly silent?: number };

interface Situation {
  readonly name: 'up' | 'wrong' | 'refused' | 'silent' | 'slow' | 'half' | 'IPv6';
  readonly port: number;
  readonly lines: readonly string[];
  readonly address: string;
  readonly up: boolean;
  readonly detail: RegExp;
}

export function checkRow(row: Row): void {
  const { service, program, deadline = 2 } = row;
  const skip = which(program) === undefined ? `${program} is not installed` : false;
  void t.test(`${service}: every situation`, { skip, timeout: 120_000 }, async (t) => {
    const place = new Place();
    const interposers: Interposer[] = [];
    t.teardown(async () => {
      for (const interposer of interposers) interposer.close();
      await place.close();
    });
    const ports = await row.start(place);
    const {
      good: port,
      wrong: wrongPort,
      silent: silentPort,
    } = typeof ports === 'number' ? { good: ports } : ports;
    const interpose = async (mischief: 'silent' | 'slow' | number): Promise<number> => {
      const made = await (row.protocol === 'udp' ? interposeUdp : interposeTcp)(mischief, port);
      interposers.push(made);
      return made.port;
    };
    const { details, good, wrong, half = 0, notApplicable = {} } = row;
    const late = new RegExp(`^timed out after ${deadline} s$`);
    const at = { address: '127.0.0.1', lines: good, up: false };
    const situations: readonly Situation[] = [
      { ...at, name: 'up', port, up: true, detail: details.up },
      { ...at, name: 'wrong', port: wrongPort ?? port, lines: wrong, detail: details.wrong ?? never },
      {
        ...at,
        name: 'refused',
        port: await place.freePort(),
        detail: details.refused ?? /Connection refused/,
      },
      { ...at, name: 'silent', port: silentPort ?? (await interpose('silent')), detail: late },
      { ...at, name: 'slow', port: await interpose('slow'), detail: late },
      { ...at, name: 'half', port: await interpose(half), detail: details.half ?? never },
      { ...at, name: 'IPv6', port, address: '[::1]', up: true, detail: details.up },
    ];
    const prefix = row.prefix?.(place) ?? [];
    const { found, output } = await probe(place, situations, { protocol: row.protocol, deadline, prefix });
    const cells = [service, await row.version(place)];
    for (const [i, { name, up, detail }] of situations.entries()) {
      const reason = notApplicable[name];
      if (reason !== undefined) {
        cells.push(`n/a: ${reason}`);
        continue;
      }
      const result = found[i];
      t.equal(result?.up, up, `${name}: ${up ? 'up' : 'down'}`);
      t.match(result?.detail, detail, `${name}: why`);
      if (name === 'silent' || name === 'slow')
        t.ok((result?.milliseconds ?? 1e9) < deadline * 1000 + 500, `${name}: in time`);
      cells.push(`${up ? 'up' : 'down'}: ${result?.detail ?? ''}`);
    }
    if (!t.passing()) t.comment(output);
    t.comment(tableLine(cells));
  });
}

/** @returns the line of the table, which is in its file then */
export function tableLine(cells: readonly string[]): string {
  const line = `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const table = process.env['DIRECTORD_CHECK_TABLE'];
  if (table !== undefined) appendFileSync(table, `${line}\n`);
  return line;
}

/** Of a situation that a row leaves without a detail, though it is applicable: nothing matches. */
const never = /(?!)/;

/** A virtual service with one real server. */
export interface Section {
  /** `127.0.0.1` or `[::1]`. */
  readonly address: string;
  readonly port: number;
  readonly lines: readonly string[];
}

export interface ProbeOptions {
  readonly protocol?: 'tcp' | 'udp' | undefined;
  readonly deadline?: number;
  readonly prefix?: readonly string[];
}

export interface Found {
  readonly up: boolean;
  readonly milliseconds: number;
  readonly detail: string;
}

/** Has every section asked once. @returns what was found, in the order of the sections, and all that directord printed */
export async function probe(
  place: Place,
  sections: readonly Section[],
  { protocol = 'tcp', deadline = 2, prefix = [] }: ProbeOptions = {},
): Promise<{ found: readonly Found[]; output: string }> {
  const file = place.write('ld.cf', configuration(sections, protocol, deadline));
  const { stdout, stderr } = await place.run([...prefix, directord, file, 'check', '--probe']);
  return { found: parseProbe(stdout), output: `${stdout}${stderr}` };
}

function configuration(sections: readonly Section[], protocol: string, deadline: number): string {
  const global = `checktimeout=${deadline}\nnegotiatetimeout=${deadline}\nlogfile="/dev/null"\n`;
  const written = sections.map(({ port, address, lines }, i) => {
    const [virtual, real] = address.startsWith('[')
      ? [`virtual6=[fd00::100]:${i + 1}`, 'real6']
      : [`virtual=10.1.0.100:${i + 1}`, 'real'];
    // by its weight each is a check of its own
    const own = [`${real}=${address}:${port} masq ${i + 1}`, `protocol=${protocol}`, ...lines];
    return [virtual, ...own.map((line) => `    ${line}`)].join('\n');
  });
  return `${global}\n${written.join('\n\n')}\n`;
}

function parseProbe(text: string): readonly Found[] {
  return text.split('\n').flatMap((line) => {
    const [, state, milliseconds, detail] = /^ {2}-> \S+ +(up|down) +(\d+) ms {2}(.*)$/.exec(line) ?? [];
    if (state === undefined) return [];
    return [{ up: state === 'up', milliseconds: Number(milliseconds), detail: detail ?? '' }];
  });
}
