/**
 * Where the engine keeps what must outlive the daemon: `BPFFS/directord/LAYOUT/INSTANCE/` has the maps by their names, below `links/`
 * what is attached to interfaces, below `programs/` a folder for each load of the programs. A daemon goes on with maps of its own layout
 * only.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { layoutVersion } from './layout.ts';

/** The BPF file system; another one than the usual for who has a mount namespace of its own. */
export function bpffs(): string {
  return process.env['DIRECTORD_BPFFS'] ?? '/sys/fs/bpf';
}

/** What is attached by a link; a filter of clsact needs none. */
export type PinnedKind = 'xdp' | 'tcx';

export interface PinnedAttachment {
  readonly kind: PinnedKind;
  readonly interfaceIndex: number;
  readonly path: string;
}

export class Pins {
  /** Of the maps. */
  readonly directory: string;
  readonly #instance: string;
  readonly #all: string;

  /** @param instance one for each daemon of a host: letters and digits */
  constructor(instance: string, layout = layoutVersion, root: string = bpffs()) {
    this.#instance = instance;
    this.#all = join(root, 'directord');
    this.directory = join(this.#all, layout, instance);
  }

  get #links(): string {
    return join(this.directory, 'links');
  }

  get #programs(): string {
    return join(this.directory, 'programs');
  }

  get exist(): boolean {
    return existsSync(this.directory);
  }

  /** Makes the directories. */
  prepare(): void {
    for (const directory of [this.#links, this.#programs])
      mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Those of this instance in other layouts. */
  otherLayouts(): readonly Pins[] {
    const root = join(this.#all, '..');
    const layouts = existsSync(this.#all) ? readdirSync(this.#all) : [];
    return layouts
      .map((layout) => new Pins(this.#instance, layout, root))
      .filter(({ directory, exist }) => exist && directory !== this.directory);
  }

  map(name: string): string {
    return join(this.directory, name);
  }

  /** Names of the maps that are there, in order. */
  maps(): readonly string[] {
    if (!this.exist) return [];
    const entries = readdirSync(this.directory, { withFileTypes: true });
    return entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
  }

  /** Folders of programs. @param name that they were made with; of any when left out */
  loads(name = ''): readonly string[] {
    if (!existsSync(this.#programs)) return [];
    return readdirSync(this.#programs)
      .filter((folder) => folder.startsWith(name))
      .map((folder) => join(this.#programs, folder));
  }

  /** Makes a folder for programs, beside others of this name. @returns its path */
  makeLoad(name: string): string {
    return mkdtempSync(join(this.#programs, `${name}-`));
  }

  /** Removes the folders of programs but this one. */
  keepLoad(path: string): void {
    for (const folder of this.loads()) if (folder !== path) removeTree(folder);
  }

  /** Of any load that has it. */
  program(name: string): string {
    const paths = this.loads().map((folder) => join(folder, name));
    return paths.find((path) => existsSync(path)) ?? join(this.#programs, name);
  }

  attachment(kind: PinnedKind, interfaceIndex: number): string {
    return join(this.#links, `${kind}-${interfaceIndex}`);
  }

  attachments(): readonly PinnedAttachment[] {
    if (!existsSync(this.#links)) return [];
    return readdirSync(this.#links).flatMap((name) => {
      const [, kind, index] = /^(xdp|tcx)-(\d+)$/.exec(name) ?? [];
      if (kind === undefined) return [];
      return [{ kind: kind as PinnedKind, interfaceIndex: Number(index), path: join(this.#links, name) }];
    });
  }

  /** Removes every pin, and directories that are empty then: links first, so that no program runs without its maps. */
  remove(): void {
    // a link that nothing else holds is detached by that
    for (const { path } of this.attachments()) unlinkSync(path);
    if (this.exist) removeTree(this.directory);
    for (const directory of [join(this.directory, '..'), this.#all]) {
      if (existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
    }
  }
}

/** rmSync would look into the file system for what no bpffs has. */
function removeTree(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) removeTree(path);
    else unlinkSync(path);
  }
  rmdirSync(directory);
}
