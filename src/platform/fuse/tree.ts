/** The directories and files of a mount, numbered; they never change. */
import type { TextFile } from '../text-files.ts';
import type { Attributes, DirectoryEntry } from './replies.ts';

const directoryMode = 0o040555;
const fileMode = 0o100444;
const rootNumber = 1;

export class Node {
  readonly number: number;
  /** Undefined for a directory. */
  readonly file: TextFile | undefined;
  readonly #parent: Node | undefined;
  readonly #children = new Map<string, Node>();

  constructor(number: number, parent: Node | undefined, file?: TextFile) {
    this.number = number;
    this.file = file;
    this.#parent = parent;
  }

  get mode(): number {
    return this.file === undefined ? directoryMode : fileMode;
  }

  child(name: string): Node | undefined {
    return this.#children.get(name);
  }

  add(name: string, child: Node): void {
    this.#children.set(name, child);
  }

  /** @param time see {@link Attributes} */
  attributes(time: number): Attributes {
    const folders = [...this.#children.values()].filter(({ file }) => file === undefined);
    const links = this.file === undefined ? 2 + folders.length : 1;
    return { node: this.number, mode: this.mode, links, time };
  }

  /** Of a directory, with itself and its parent. */
  entries(): readonly DirectoryEntry[] {
    const all: [string, Node][] = [['.', this], ['..', this.#parent ?? this], ...this.#children];
    return all.map(([name, node]) => ({ name, node: node.number, mode: node.mode }));
  }
}

/** @returns all nodes by their number; 1 is the root */
export function buildTree(files: readonly TextFile[]): ReadonlyMap<number, Node> {
  const root = new Node(rootNumber, undefined);
  const nodes = new Map([[rootNumber, root]]);
  const make = (parent: Node, name: string, file?: TextFile): Node => {
    const node = new Node(nodes.size + 1, parent, file);
    nodes.set(node.number, node);
    parent.add(name, node);
    return node;
  };
  for (const file of files) {
    const folders = file.path.split('/');
    const name = folders.pop() ?? '';
    const parent = folders.reduce((at, folder) => at.child(folder) ?? make(at, folder), root);
    make(parent, name, file);
  }
  return nodes;
}
