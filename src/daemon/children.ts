/**
 * `execute=`: further configurations that start, reload and stop with this one, each by a daemon of its own, as if somebody had typed
 * `directord CHILD start`. Each has a control socket of its own, so that they do not take each other's table.
 */
import { basename, dirname, join } from 'node:path';
import type { Streams } from '../cli/directord.ts';
import type { Shell } from '../monitor/command.ts';
import type { Clock } from '../util/clock.ts';
import { runTool } from '../platform/run-tool.ts';
import type { PidFile } from './pid-file.ts';

export type ChildAction = 'start' | 'stop' | 'reload' | 'restart' | 'status';

/** How this program is called for its children. */
export interface ChildCommand {
  /** Program and options, before `--control`. */
  readonly program: readonly string[];
  /** Control socket of this daemon. */
  readonly control: string;
  /** What pid file and log call this daemon. */
  readonly name: string;
  /** That of the daemon of this name. */
  pidFile(name: string): Pick<PidFile, 'read'>;
}

export interface ChildrenParts extends ChildCommand {
  readonly shell: Shell;
  readonly clock: Clock;
  log(message: string): void;
}

/** Milliseconds between two looks whether they are gone, and until nobody waits for them any more. */
const pollInterval = 100;
const stopPatience = 10_000;

export class Children {
  readonly #parts: ChildrenParts;
  /** What each is told comes after what it was told before. */
  #busy = new Map<string, Promise<void>>();

  constructor(parts: ChildrenParts) {
    this.#parts = parts;
  }

  start(children: readonly string[]): void {
    for (const child of this.#others(children)) this.#tell(child, 'start');
  }

  reload(children: readonly string[]): void {
    const wanted = this.#others(children);
    for (const child of [...this.#busy.keys()].filter((known) => !wanted.includes(known))) {
      this.#tell(child, 'stop');
      this.#busy.delete(child);
    }
    for (const child of wanted) this.#tell(child, this.#busy.has(child) ? 'reload' : 'start');
  }

  /** Resolves when they have ended, or have had their time: with the last process of a service systemd kills the others. */
  async stop(): Promise<void> {
    const children = [...this.#busy.keys()];
    for (const child of children) this.#tell(child, 'stop');
    const told = Promise.all(this.#busy.values());
    const deadline = this.#parts.clock.now() + stopPatience;
    await Promise.race([told, this.#pause(stopPatience)]);
    const running = (): readonly string[] =>
      children.filter((child) => this.#parts.pidFile(childName(child)).read().state === 'running');
    while (running().length > 0 && this.#parts.clock.now() < deadline) await this.#pause(pollInterval);
    for (const child of running())
      this.#parts.log(`execute=${child} still runs after ${stopPatience / 1000} s`);
  }

  /** For a daemon that hands over to its next version: they do so too. */
  async restart(): Promise<void> {
    for (const child of this.#busy.keys()) this.#tell(child, 'restart');
    await Promise.race([Promise.all(this.#busy.values()), this.#pause(stopPatience)]);
  }

  #others(children: readonly string[]): readonly string[] {
    const { name } = this.#parts;
    return children.filter((child) => {
      const isSelf = childName(child) === name;
      if (isSelf) this.#parts.log(`execute=${child} is this configuration itself: ignored`);
      return !isSelf;
    });
  }

  #tell(child: string, action: ChildAction): void {
    const before = this.#busy.get(child) ?? Promise.resolve();
    this.#busy.set(
      child,
      before.then(async () => {
        const done = await this.#run(child, action);
        if (!done && action === 'reload') await this.#run(child, 'start');
      }),
    );
  }

  async #run(child: string, action: ChildAction): Promise<boolean> {
    const line = childLine(this.#parts, child, action);
    const { status, detail } = await this.#parts.shell(line);
    if (status !== 0) this.#parts.log(`system(${line}) failed: ${detail}`);
    return status === 0;
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.clock.after(milliseconds, resolve);
    });
  }
}

/** Has each say whether it runs. */
export async function tellChildrenStatus(
  command: ChildCommand,
  children: readonly string[],
  streams: Streams,
): Promise<void> {
  for (const child of children.filter((name) => childName(name) !== command.name)) {
    const said = await runTool('/bin/sh', ['-c', childLine(command, child, 'status')]);
    streams.out(said.stdout);
    streams.err(said.stderr);
  }
}

/** For the shell. The child stands there as it is written, which may be in quotes or behind options. */
export function childLine({ program, control }: ChildCommand, child: string, action: ChildAction): string {
  const own = [...program, '--control', childControl(control, child)].map(quoted);
  return [...own, child, action].join(' ');
}

/** A folder of its own beside ours, because the files of /proc are beside the socket. */
export function childControl(control: string, child: string): string {
  return join(dirname(control), 'execute', childName(child).replace(/[^\w.-]/g, '_'), 'control.sock');
}

/** What the pid file calls it. */
export function childName(child: string): string {
  const words = child.replace(/["']/g, '').trim().split(/\s+/);
  return basename(words.at(-1) ?? '');
}

function quoted(word: string): string {
  return /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
