/** Tests in which the real ldirectord drives our director. */
import t, { type Test } from 'tap';
import { configurations } from '../monitor/recorded-configurations.ts';
import type { Recorded } from '../monitor/recording.ts';
import { Lab, skipReason, type LabOptions } from './lab.ts';
import { replay, type PlayedStep } from './lab/ldirectord-replay.ts';
import { RealLdirectord, whyNoLdirectord, type Ipvsadm } from './lab/real-ldirectord.ts';

export interface Options extends LabOptions {
  readonly ipvsadm: Ipvsadm;
}

/**
 * Runs `body` with a bare director and an ldirectord that is still to be started, in a new lab; skipped, with the reason, where there can
 * be none. A failure shows both logs and the table. The file's timeout holds for all of them together.
 */
export function drivenByLdirectord(
  name: string,
  options: Options,
  body: (t: Test, lab: Lab, ldirectord: RealLdirectord) => Promise<void>,
): void {
  const skip = skipReason === false ? whyNoLdirectord() : skipReason;
  void t.test(name, { skip, timeout: 0, buffered: true }, async (t) => {
    const lab = await Lab.open('namespaces', options);
    const ldirectord = new RealLdirectord(lab, options.ipvsadm);
    t.teardown(async () => {
      if (!t.passing()) {
        t.comment(`log of ldirectord:\n${ldirectord.log()}`);
        t.comment(`log of the director:\n${lab.log()}`);
        t.comment(`table:\n${(await lab.adm('-L', '-n')).stdout}`);
      }
      await lab.close();
    });
    await lab.startDirectord('--no-monitor', 'start');
    await body(t, lab, ldirectord);
  });
}

/**
 * Plays a recording and compares every step.
 * @param also what else is to be seen after each step; it may make traffic, and then the table is compared without its connections
 */
export function playedAsRecorded(
  name: string,
  records: readonly Recorded[],
  options: LabOptions = {},
  also?: (t: Test, lab: Lab, step: PlayedStep) => Promise<void>,
): void {
  const all: Options = { secondPort: 8080, ...options, ipvsadm: 'logged' };
  drivenByLdirectord(name, all, async (t, lab, ldirectord) => {
    for await (const step of replay(lab, ldirectord, records, configurations[name])) {
      const { title, recorded, played } = step;
      const table = also === undefined ? played.table : withoutConnections(played.table);
      t.equal(table, recorded.table, `${title}: table`);
      t.same(played.reads, recorded.reads, `${title}: reads of it`);
      t.same(played.commands, recorded.commands, `${title}: commands`);
      t.same(played.log, recorded.log, `${title}: log`);
      t.same(played.answers, recorded.answers, `${title}: command line`);
      // What comes after a difference differs.
      if (!t.passing()) return;
      await also?.(t, lab, step);
    }
  });
}

function withoutConnections(table: string): string {
  return table.replace(/\d+ +\d+ +$/gm, '0          0         ');
}
