/**
 * What `--apply` did on this host and how to take it back, in a file that lives as long as the settings do: until the
 * next boot. One line of JSON for each step, in the order in which they were done.
 */
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export interface Undo {
  /** Shell test: succeeds while there is something to take back. */
  readonly done: string;
  readonly undo: string;
}

export class UndoRecord {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** @throws when the file holds something else */
  read(): readonly Undo[] {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    return text
      .split('\n')
      .filter(Boolean)
      .map((line, i) => this.#parse(line, i + 1));
  }

  /** Before the step is done, so that it can be taken back whatever happens; once for each. */
  add(undo: Undo): void {
    if (this.read().some(({ done }) => done === undo.done)) return;
    mkdirSync(dirname(this.path), { recursive: true });
    appendFileSync(this.path, lineOf(undo), { mode: 0o600 });
  }

  /** Keeps these only. */
  keep(undos: readonly Undo[]): void {
    if (undos.length === 0) {
      rmSync(this.path, { force: true });
      return;
    }
    writeFileSync(`${this.path}.new`, undos.map(lineOf).join(''), { mode: 0o600 });
    renameSync(`${this.path}.new`, this.path);
  }

  #parse(line: string, number: number): Undo {
    const broken = (): Error => new Error(`${this.path}: line ${number} is not what --apply writes`);
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw broken();
    }
    if (typeof value !== 'object' || value === null || !('done' in value) || !('undo' in value))
      throw broken();
    const { done, undo } = value;
    if (typeof done !== 'string' || typeof undo !== 'string') throw broken();
    return { done, undo };
  }
}

function lineOf({ done, undo }: Undo): string {
  return `${JSON.stringify({ done, undo })}\n`;
}
