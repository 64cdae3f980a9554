/**
 * The texts of /proc/net/ip_vs as files beside the control socket: `proc/net/ip_vs` for collectors that can be told
 * another /proc, and links `ip_vs` to them. Without them directord forwards all the same, so nothing here fails a start.
 */
import { lstatSync, readlinkSync, realpathSync, statSync, symlinkSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { EngineEvents } from '../engines/engine.ts';
import type { ProcSource } from '../observe/proc-text.ts';
import { procNames, writeProc } from '../observe/proc-text.ts';

export interface ProcFiles {
  remove(): void;
}

/**
 * Not tried without root, who alone may mount.
 * @param control path of the control socket
 * @returns undefined when there are no files; a line in the log says why
 */
export async function offerProcFiles(
  control: string,
  source: ProcSource,
  events: EngineEvents,
): Promise<ProcFiles | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  try {
    const { mode } = statSync(dirname(control));
    // a name in /tmp is anybody's to take first
    if ((mode & 0o022) !== 0) throw new Error(`others may write to ${dirname(control)}`);
    return await offer(realpathSync(dirname(control)), source, events);
  } catch (error) {
    events.info(`No files like /proc/net/ip_vs: ${(error as Error).message}; see directoradm --proc`);
    return undefined;
  }
}

async function offer(directory: string, source: ProcSource, events: EngineEvents): Promise<ProcFiles> {
  const { mountTextFiles } = await import('../platform/text-files.ts');
  const files = procNames.map((name) => ({
    path: `net/${name}`,
    produce: (write: (piece: string) => Promise<void>) => writeProc(name, source, write),
  }));
  const mounted = mountTextFiles(join(directory, 'proc'), files, (message) => {
    events.problem(message);
  });
  const links = procNames.map((name) => new Link(join(directory, name), `proc/net/${name}`));
  const each = (what: (link: Link) => void): void => {
    for (const link of links) {
      try {
        what(link);
      } catch (error) {
        events.info((error as Error).message);
      }
    }
  };
  each((link) => {
    link.make();
  });
  return {
    remove: () => {
      each((link) => {
        link.remove();
      });
      mounted.unmount();
    },
  };
}

/** Known as ours by where it points; so the one that a killed daemon left is too. */
class Link {
  readonly #path: string;
  readonly #target: string;

  constructor(path: string, target: string) {
    this.#path = path;
    this.#target = target;
  }

  /** @throws when something else is there, which stays */
  make(): void {
    if (!this.#isOurs()) symlinkSync(this.#target, this.#path);
  }

  remove(): void {
    if (this.#isOurs()) unlinkSync(this.#path);
  }

  #isOurs(): boolean {
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    return found?.isSymbolicLink() === true && readlinkSync(this.#path) === this.#target;
  }
}
