/**
 * Offloads that are off until they are put back, remembered in a file for as long: a process that comes after a crash
 * finds them off already, and would otherwise leave them so.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { OffloadChange, RingSlots } from './offloads.ts';
import { restoreOffloads, switchOffloadsOff } from './offloads.ts';

export class OffloadRecord {
  readonly #file: string;
  /** By interface: what was on before. */
  readonly #found: Map<string, readonly string[]>;

  /** @param file in a directory that is empty after a boot, as interfaces are as they were */
  constructor(file: string) {
    this.#file = file;
    this.#found = read(file);
  }

  /** As {@link switchOffloadsOff}; restores too what an earlier process switched off and did not put back. */
  switchOff(interfaceName: string, slots: RingSlots): OffloadChange & { restore(): void } {
    const change = switchOffloadsOff(interfaceName, slots);
    const before = this.#found.get(interfaceName) ?? [];
    if (change.switchedOff.length > 0) {
      this.#found.set(interfaceName, [...new Set([...before, ...change.switchedOff])]);
      this.#save();
    }
    return {
      ...change,
      restore: () => {
        const switchedOff = this.#found.get(interfaceName) ?? [];
        this.#found.delete(interfaceName);
        restoreOffloads({ ...change, switchedOff });
        this.#save();
      },
    };
  }

  /** In one step, so that there is never half a file. */
  #save(): void {
    if (this.#found.size === 0) {
      rmSync(this.#file, { force: true });
      return;
    }
    writeFileSync(`${this.#file}.new`, `${JSON.stringify(Object.fromEntries(this.#found))}\n`, {
      mode: 0o600,
    });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function read(file: string): Map<string, readonly string[]> {
  try {
    return new Map(Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, string[]>));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw new Error(`${file} cannot be read, remove it: ${(error as Error).message}`, { cause: error });
  }
}
