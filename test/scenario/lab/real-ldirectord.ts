/**
 * The ldirectord of Debian's package, unchanged, on the director of a lab. It takes /sbin/ipvsadm and no other, so it runs among mounts of
 * its own: below /usr/sbin `ipvsadm` is our directoradm, and /run, /var/log and /etc/ha.d are folders of the lab.
 */
import { mkdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../support/until.ts';
import type { Lab } from '../lab.ts';
import type { Finished, Program } from './program.ts';
import { directoradm, which } from './paths.ts';
import { isAlive, textOf } from './processes.ts';

/** How it becomes our directoradm: as an operator does it, or by way of a script that first writes down what was asked of it. */
export type Ipvsadm = 'symlink' | 'logged';

/** Of a process that sleeps between two rounds of checks. */
const sleeping = 'hrtimer_nanosleep';

/** Read-only, of two layers: nothing can be written to the machine's own folder. */
const enter = `
place=$1; shift
mount --bind "$place/run" /run &&
mount --bind "$place/log" /var/log &&
mount --bind "$place/ha.d" /etc/ha.d &&
mount -t overlay directord -o ro,lowerdir="$place/sbin":/usr/sbin /usr/sbin &&
exec /usr/sbin/ldirectord "$@"`;

export class RealLdirectord {
  readonly #lab: Lab;
  readonly #place: string;
  #writes = 0;

  constructor(lab: Lab, ipvsadm: Ipvsadm) {
    this.#lab = lab;
    this.#place = join(lab.directory, 'ldirectord');
    for (const folder of ['run', 'log', 'ha.d/conf', 'sbin']) {
      mkdirSync(join(this.#place, folder), { recursive: true });
    }
    const program = join(this.#place, 'sbin/ipvsadm');
    if (ipvsadm === 'symlink') symlinkSync(directoradm, program);
    else {
      const script = `#!/bin/sh\necho "$*" >>'${this.#callsFile}'\nexec '${directoradm}' "$@"\n`;
      writeFileSync(program, script, { mode: 0o755 });
    }
  }

  /** Where a file is that ldirectord knows as `/run/NAME`. */
  path(name: string): string {
    return join(this.#place, 'run', name);
  }

  /** Writes `/run/NAME`, or below `/etc/ha.d`, later by the clock of files than what was written before. */
  write(name: string, text: string, folder: 'run' | 'ha.d' = 'run'): void {
    const file = join(this.#place, folder, name);
    writeFileSync(file, text, { mode: 0o755 });
    this.#writes += 1;
    // It looks at whole seconds.
    const seconds = Date.now() / 1000 + 2 * this.#writes;
    utimesSync(file, seconds, seconds);
  }

  /** Starts `ldirectord ARGS` in the foreground. */
  start(...args: readonly string[]): Program {
    return this.#lab.director.start(this.#command(args));
  }

  /** Runs `ldirectord ARGS` to its end, which for `start` is that of the process that leaves the daemon behind. */
  run(...args: readonly string[]): Promise<Finished> {
    return this.#lab.director.run(this.#command(args), { timeout: 60 });
  }

  /** What was logged to `/run/ld.log`. */
  log(): string {
    return textOf(this.path('ld.log'));
  }

  /** Arguments of every call of ipvsadm so far, each joined by blanks; only when they are logged. */
  calls(): readonly string[] {
    return textOf(this.#callsFile).split('\n').slice(0, -1);
  }

  /** Grows when something is logged or ipvsadm is called: bytes. */
  progress(): number {
    const files = [this.path('ld.log'), this.#callsFile];
    return files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
  }

  /** Pid in the pid file of `ld.cf`, also when nothing has it any more. */
  pid(): number | undefined {
    const text = textOf(this.path('ldirectord.ld.cf.pid'));
    return text === '' ? undefined : Number(text);
  }

  get runs(): boolean {
    const pid = this.pid();
    return pid !== undefined && isAlive(pid);
  }

  /** Waits until the daemon sleeps between two rounds of checks. @param pid of one without a pid file */
  async untilItSleeps(pid = this.pid()): Promise<void> {
    await waitFor('ldirectord to sleep', 90, () => sleeps(pid));
  }

  /** Waits for the end of a round of checks that begins after this call. */
  async untilItHasChecked(): Promise<void> {
    await this.untilItSleeps();
    const pid = this.pid();
    const before = switches(pid);
    await waitFor('a round of checks', 90, () => switches(pid) !== before && sleeps(pid));
  }

  /** Does something between two rounds of checks: the daemon is held while it sleeps. */
  async whileItSleeps(act: () => Promise<void>): Promise<void> {
    await this.untilItSleeps();
    const pid = this.pid();
    if (pid === undefined) return act();
    process.kill(pid, 'SIGSTOP');
    try {
      await act();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  }

  /** Waits until the daemon is gone. */
  async untilItEnded(): Promise<void> {
    const pid = this.pid();
    await waitFor('ldirectord to end', 90, () => pid === undefined || !isAlive(pid));
  }

  get #callsFile(): string {
    return join(this.#place, 'calls');
  }

  #command(args: readonly string[]): readonly string[] {
    return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', enter, 'sh', this.#place, ...args];
  }
}

function sleeps(pid: number | undefined): boolean {
  return textOf(`/proc/${pid ?? 'none'}/wchan`) === sleeping;
}

/** How often a process began to wait. */
function switches(pid: number | undefined): string | undefined {
  const status = textOf(`/proc/${pid ?? 'none'}/status`);
  return /^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1];
}

/** Why it cannot run here, or false: the `skip` of a tap test. */
export function whyNoLdirectord(): string | false {
  const missing = ['ldirectord', 'unshare'].filter((program) => which(program) === undefined);
  return missing.length > 0 && `needs ${missing.join(', ')} (make deps)`;
}
