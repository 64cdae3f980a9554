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
  /** Starts the server on 127.0.0.1 and ::1. @returns its port */
  start(place: Place): Promise<number>;
  readonly protocol?: 'tcp' | 'udp';
  /** Lines of the section for a server that is well, without indentation: `service=imap`, `login="joe"`. */
  readonly good: readonly string[];
  /** The same for what makes the good server's answer a wrong one. */
  readonly wrong: readonly string[];
  /** After how many bytes of its answers the server is cut off. */
  readonly half: number;
  /** What the check says in each situation; `silent` and `slow` are always the deadline. */
  readonly details: {
    readonly up: RegExp;
    readonly wrong: RegExp;
    /** Default: Connection refused. */
    readonly refused?: RegExp;
    readonly half: RegExp;
  };
  /** Seconds of `checktimeout` and `negotiatetimeout`. Default 2. */
  readonly deadline?: number;
}

interface Situation {
  readonly name: string;
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
    const port = await row.start(place);
    const interpose = async (mischief: 'silent' | 'slow' | number): Promise<number> => {
      const made = await (row.protocol === 'udp' ? interposeUdp : interposeTcp)(mischief, port);
      interposers.push(made);
      return made.port;
    };
    const { details, good, wrong } = row;
    const late = new RegExp(`^timed out after ${deadline} s$`);
    const at = { address: '127.0.0.1', lines: good, up: false };
    const situations: readonly Situation[] = [
      { ...at, name: 'up', port, up: true, detail: details.up },
      { ...at, name: 'wrong', port, lines: wrong, detail: details.wrong },
      {
        ...at,
        name: 'refused',
        port: await place.freePort(),
        detail: details.refused ?? /Connection refused/,
      },
      { ...at, name: 'silent', port: await interpose('silent'), detail: late },
      { ...at, name: 'slow', port: await interpose('slow'), detail: late },
      { ...at, name: 'half', port: await interpose(row.half), detail: details.half },
      { ...at, name: 'IPv6', port, address: '[::1]', up: true, detail: details.up },
    ];
    const file = place.write('ld.cf', configuration(row, situations, deadline));
    const { stdout, stderr } = await place.run([directord, file, 'check', '--probe']);
    const cells = [service, await row.version(place)];
    for (const { name, port, address, up, detail } of situations) {
      const found = probed(stdout, `${address}:${port}`).at(name === 'wrong' ? 1 : 0);
      t.equal(found?.up, up, `${name}: ${up ? 'up' : 'down'}`);
      t.match(found?.detail, detail, `${name}: why`);
      if (name === 'silent' || name === 'slow')
        t.ok((found?.milliseconds ?? 1e9) < deadline * 1000 + 500, `${name}: in time`);
      cells.push(`${up ? 'up' : 'down'}: ${found?.detail ?? ''}`);
    }
    if (!t.passing()) t.comment(`${stdout}${stderr}`);
    const line = `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
    t.comment(line);
    const table = process.env['DIRECTORD_CHECK_TABLE'];
    if (table !== undefined) appendFileSync(table, `${line}\n`);
  });
}

function configuration(row: Row, situations: readonly Situation[], deadline: number): string {
  const global = `checktimeout=${deadline}\nnegotiatetimeout=${deadline}\nlogfile="/dev/null"\n`;
  const sections = situations.map(({ port, address, lines }, i) => {
    const [virtual, real] =
      address === '127.0.0.1' ? [`virtual=10.1.0.100:${i + 1}`, 'real'] : ['virtual6=[fd00::100]:1', 'real6'];
    const own = [`${real}=${address}:${port} masq`, `protocol=${row.protocol ?? 'tcp'}`, ...lines];
    return [virtual, ...own.map((line) => `    ${line}`)].join('\n');
  });
  return `${global}\n${sections.join('\n\n')}\n`;
}

interface Found {
  readonly up: boolean;
  readonly milliseconds: number;
  readonly detail: string;
}

/** What the probe found of a server; the same server may be in several services. */
function probed(text: string, endpoint: string): readonly Found[] {
  return text.split('\n').flatMap((line) => {
    const [, real, state, milliseconds, detail] =
      /^ {2}-> (\S+) +(up|down) +(\d+) ms {2}(.*)$/.exec(line) ?? [];
    if (real !== endpoint) return [];
    return [{ up: state === 'up', milliseconds: Number(milliseconds), detail: detail ?? '' }];
  });
}
