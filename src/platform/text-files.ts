/**
 * Readable files whose text is written when somebody reads: a read-only file system of our own, served by this process
 * through FUSE. Behind it: fuse/file-system.ts is what is answered, fuse/device.ts how it comes and goes, and fuse/mount.ts.
 */
import { lstatSync, mkdirSync, readdirSync, realpathSync, rmdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { FuseDevice } from './fuse/device.ts';
import { FileSystem } from './fuse/file-system.ts';
import { detach, mountedAt, mountFuse, mountType } from './fuse/mount.ts';
import { mostUnread } from './fuse/text-stream.ts';
import { runToolSync } from './run-tool.ts';

export interface TextFile {
  /** Path below the mount point, e.g. `net/ip_vs`. */
  readonly path: string;
  /** Writes a fresh text, in pieces; `write` resolves when there is room for the next and rejects when the reader went away. */
  produce(write: (piece: string) => Promise<void>): Promise<void>;
}

export interface MountedTextFiles {
  /** Detaches the mount and removes its directory; who has a file open is told that it ended. */
  unmount(): void;
}

/**
 * Mounts the files, readable by all, until they are unmounted or this process ends. This process itself must never look
 * into them: it would wait for its own answer.
 * @param directory made if missing, and removed in the end; its parent must be there
 * @param problem a text could not be written, or the mount ended before its time
 * @throws Error with a message for people: no root, no /dev/fuse, taken by another
 */
export function mountTextFiles(
  directory: string,
  files: readonly TextFile[],
  problem: (message: string) => void,
): MountedTextFiles {
  if (process.geteuid?.() !== 0) throw new Error(`${directory} cannot be mounted: that needs root`);
  const place = join(realpathSync(dirname(directory)), basename(directory));
  clear(place);
  const device = openDevice(place);
  prepareDirectory(place);
  const mount = new Mount(place, device, files, problem);
  mount.begin();
  return mount;
}

class Mount implements MountedTextFiles {
  readonly #place: string;
  readonly #device: FuseDevice;
  readonly #files: FileSystem;
  readonly #problem: (message: string) => void;
  /** See {@link mountedAt}; undefined while nothing is mounted. */
  #mounted: string | undefined;
  #ended = false;

  constructor(
    place: string,
    device: FuseDevice,
    files: readonly TextFile[],
    problem: (message: string) => void,
  ) {
    this.#place = place;
    this.#device = device;
    this.#problem = problem;
    this.#files = new FileSystem({
      files,
      time: Math.floor(Date.now() / 1000),
      reply: (message) => {
        device.reply(message);
      },
      problem,
    });
  }

  begin(): void {
    process.on('exit', this.#end);
    try {
      mountFuse(this.#place, this.#device.descriptor, mostUnread);
      this.#mounted = mountedAt(this.#place)?.device;
      this.#device.listen({
        request: (message) => {
          this.#files.take(message);
        },
        ended: (why) => {
          this.#problem(`${this.#place} is no longer served: ${why}`);
          this.#end();
        },
      });
    } catch (error) {
      this.#end();
      const reason = `${(error as Error).message} (a container needs CAP_SYS_ADMIN for it)`;
      throw new Error(`${this.#place} cannot be mounted: ${reason}`, { cause: error });
    }
  }

  unmount(): void {
    this.#end();
  }

  readonly #end = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    process.off('exit', this.#end);
    try {
      // Somebody else may have unmounted it, and mounted something of his.
      if (this.#mounted !== undefined && mountedAt(this.#place)?.device === this.#mounted)
        detach(this.#place);
      if (mountedAt(this.#place) === undefined) rmdirSync(this.#place);
    } catch (error) {
      this.#problem(`${this.#place} could not be removed: ${(error as Error).message}`);
    }
    this.#files.close();
    this.#device.close();
  };
}

/** Detaches what a directord that was killed left there. @throws Error for people when anything else is mounted */
function clear(place: string): void {
  for (let found = mountedAt(place); found !== undefined; found = mountedAt(place)) {
    if (found.type !== mountType) throw new Error(`${place} is in use: a ${found.type} is mounted there`);
    if (!isDead(place)) throw new Error(`${place} is in use: it belongs to another directord that runs`);
    detach(place);
  }
}

/** Nobody serves the mount. Asked by another process, because one that lives and does not answer lets wait for ever. */
function isDead(place: string): boolean {
  const { stderr } = runToolSync('timeout', ['-s', 'KILL', '2', 'stat', '--', place]);
  return stderr.includes('not connected');
}

function openDevice(place: string): FuseDevice {
  try {
    return new FuseDevice();
  } catch (error) {
    const hint = 'FUSE is missing here: modprobe fuse, or give the container /dev/fuse';
    throw new Error(`${place} cannot be mounted: ${(error as Error).message} (${hint})`, { cause: error });
  }
}

/** An empty directory of root's: nothing of anybody's may vanish below the mount. */
function prepareDirectory(place: string): void {
  try {
    mkdirSync(place, { mode: 0o755 });
  } catch (error) {
    const found = lstatSync(place, { throwIfNoEntry: false });
    if (found === undefined) throw error;
    if (!found.isDirectory() || found.uid !== 0 || readdirSync(place).length > 0)
      throw new Error(`${place} is in use: it is there and no empty directory of root's`, { cause: error });
  }
}
