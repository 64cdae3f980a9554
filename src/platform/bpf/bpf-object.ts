/**
 * A compiled BPF object file: opened, set up (sizes of maps, constants, pins), loaded into the kernel. Maps that are pinned
 * already are taken over with what they hold; that is how connections survive a restart.
 */
import koffi from 'koffi';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BpfMap } from './bpf-map.ts';
import type { MapShape } from './bpf-map.ts';
import { BpfProgram } from './bpf-program.ts';
import { findVariable } from './btf-variables.ts';
import { attempt, attemptAloud, isPointer, libbpf } from './libbpf.ts';

/** A `const volatile` variable's new value: its bytes, or a number that is as wide as the variable. */
export type Constant = number | bigint | Uint8Array;

export interface ObjectOptions {
  /** max_entries of maps, by name. */
  readonly mapSizes?: Readonly<Record<string, number>>;
  /** Initial values of global variables, by name: `const volatile` ones are constants for the verifier. */
  readonly constants?: Readonly<Record<string, Constant>>;
  /** Programs that are not loaded. */
  readonly without?: readonly string[];
  /** A directory in a bpffs: maps that are pinned there are used, the others are created and pinned there by {@link BpfObject.load}. */
  readonly pinDirectory?: string;
  /** Which maps are pinned; all but .rodata, .data and .bss when left out. */
  readonly pinned?: (name: string) => boolean;
}

/** A pinned map that the object cannot use as it is: of another layout, or of another size. */
export interface PinMismatch {
  readonly map: string;
  readonly path: string;
  readonly pinned: MapShape;
  readonly wanted: MapShape;
}

export class PinMismatchError extends Error {
  readonly mismatches: readonly PinMismatch[];

  constructor(file: string, mismatches: readonly PinMismatch[]) {
    super(
      `${file} cannot take over what is pinned: ${mismatches.map(difference).join('; ')}. Remove the pins to start afresh`,
    );
    this.name = 'PinMismatchError';
    this.mismatches = mismatches;
  }
}

export class BpfObject {
  readonly path: string;
  #pointer: bigint | undefined;
  readonly #maps = new Map<string, BpfMap>();
  readonly #programs = new Map<string, BpfProgram>();
  readonly #reused: string[] = [];

  private constructor(path: string, pointer: bigint) {
    this.path = path;
    this.#pointer = pointer;
  }

  /** Reads the file; nothing is in the kernel yet. @throws when it is no BPF object, or lacks what the options name */
  static open(path: string, options: ObjectOptions = {}): BpfObject {
    const pointer = attemptAloud(`opening ${path}`, () => {
      const opened = libbpf().bpf_object__open_file(path, null);
      return isPointer(opened) ? opened : null;
    });
    const object = new BpfObject(path, pointer);
    try {
      object.#prepare(options);
    } catch (error) {
      object.close();
      throw error;
    }
    return object;
  }

  /**
   * Creates the maps, and has the kernel verify the programs.
   * @throws BpfError with the verifier's last lines when it refuses one
   */
  load(): void {
    attemptAloud(`loading ${this.path}`, () => libbpf().bpf_object__load(this.#open));
  }

  /** Names of the maps that were pinned already and are used as they are. */
  get reused(): readonly string[] {
    return this.#reused;
  }

  /** Closed with the object. */
  program(name: string): BpfProgram {
    let program = this.#programs.get(name);
    if (program === undefined) {
      const pointer = this.#named('program', name, this.#eachProgram());
      const fd = attempt(`using the program ${name}, which is not loaded`, () =>
        libbpf().bpf_program__fd(pointer),
      );
      program = new BpfProgram(fd, false, name);
      this.#programs.set(name, program);
    }
    return program;
  }

  /** Closed with the object. @param name in the source; `.bss` and the like too */
  map(name: string): BpfMap {
    let map = this.#maps.get(name);
    if (map === undefined) {
      const pointer = this.#named('map', name, this.#eachMap());
      const fd = attempt(`using the map ${name}, which is not loaded`, () => libbpf().bpf_map__fd(pointer));
      map = new BpfMap(fd, false, name);
      this.#maps.set(name, map);
    }
    return map;
  }

  get mapNames(): readonly string[] {
    return [...this.#eachMap()].map(([name]) => name);
  }

  get programNames(): readonly string[] {
    return [...this.#eachProgram()].map(([name]) => name);
  }

  /** What is pinned or attached stays in the kernel. */
  close(): void {
    if (this.#pointer === undefined) return;
    for (const each of [...this.#maps.values(), ...this.#programs.values()]) each.close();
    this.#maps.clear();
    this.#programs.clear();
    libbpf().bpf_object__close(this.#pointer);
    this.#pointer = undefined;
  }

  #prepare(options: ObjectOptions): void {
    const { mapSizes = {}, constants = {}, without = [], pinDirectory, pinned = () => true } = options;
    for (const [name, entries] of Object.entries(mapSizes)) {
      const map = this.#named('map', name, this.#eachMap());
      attempt(`setting the size of the map ${name}`, () => libbpf().bpf_map__set_max_entries(map, entries));
    }
    for (const [name, value] of Object.entries(constants)) this.#setVariable(name, value);
    for (const name of without) this.#leaveOut(name);
    if (pinDirectory !== undefined) this.#pinMaps(pinDirectory, pinned);
  }

  #leaveOut(name: string): void {
    const program = this.#named('program', name, this.#eachProgram());
    attempt(`leaving out the program ${name}`, () => libbpf().bpf_program__set_autoload(program, false));
  }

  #pinMaps(directory: string, pinned: (name: string) => boolean): void {
    const mismatches: PinMismatch[] = [];
    for (const [name, pointer] of this.#eachMap()) {
      if (libbpf().bpf_map__is_internal(pointer) || !pinned(name)) continue;
      const path = join(directory, name);
      attempt(`pinning the map ${name} at ${path}`, () => libbpf().bpf_map__set_pin_path(pointer, path));
      if (!existsSync(path)) continue;
      const present = BpfMap.openPinned(path);
      present.close();
      const wanted = shapeOf(pointer);
      if (sameShape(present, wanted)) this.#reused.push(name);
      else mismatches.push({ map: name, path, pinned: present, wanted });
    }
    if (mismatches.length > 0) throw new PinMismatchError(this.path, mismatches);
  }

  #setVariable(name: string, value: Constant): void {
    const btf = libbpf().bpf_object__btf(this.#open);
    const variable = btf === null ? undefined : findVariable(btf, name);
    if (variable === undefined) throw new Error(`${this.path} has no global variable ${name}`);
    const map = this.#named('map', variable.section, this.#eachMap());
    const length = new BigUint64Array(1);
    const at = libbpf().bpf_map__initial_value(map, length);
    if (!isPointer(at)) throw new Error(`${this.path}: ${variable.section} has no initial value`);
    const section = new Uint8Array(koffi.view(at, Number(length[0])));
    section.set(bytesOf(name, value, variable.size), variable.offset);
  }

  #named(what: 'map' | 'program', name: string, all: Iterable<[string, bigint]>): bigint {
    for (const [each, pointer] of all) if (each === name) return pointer;
    throw new Error(`${this.path} has no ${what} ${name}`);
  }

  *#eachMap(): Generator<[name: string, pointer: bigint]> {
    const c = libbpf();
    let map = c.bpf_object__next_map(this.#open, null);
    while (map !== null) {
      const name = c.bpf_map__name(map);
      // libbpf writes the object's name before the section's
      yield [c.bpf_map__is_internal(map) ? name.slice(name.indexOf('.')) : name, map];
      map = c.bpf_object__next_map(this.#open, map);
    }
  }

  *#eachProgram(): Generator<[name: string, pointer: bigint]> {
    const c = libbpf();
    let program = c.bpf_object__next_program(this.#open, null);
    while (program !== null) {
      yield [c.bpf_program__name(program), program];
      program = c.bpf_object__next_program(this.#open, program);
    }
  }

  get #open(): bigint {
    if (this.#pointer === undefined) throw new Error(`${this.path} is closed`);
    return this.#pointer;
  }
}

function shapeOf(map: bigint): MapShape {
  const c = libbpf();
  return {
    type: c.bpf_map__type(map),
    keySize: c.bpf_map__key_size(map),
    valueSize: c.bpf_map__value_size(map),
    maxEntries: c.bpf_map__max_entries(map),
    flags: c.bpf_map__map_flags(map),
  };
}

const shapeWords = {
  type: 'type',
  keySize: 'key size',
  valueSize: 'value size',
  maxEntries: 'number of entries',
  flags: 'flags',
} as const;
const shapeNames = Object.keys(shapeWords) as (keyof MapShape)[];

function sameShape(one: MapShape, other: MapShape): boolean {
  return shapeNames.every((name) => one[name] === other[name]);
}

function difference({ path, pinned, wanted }: PinMismatch): string {
  const different = shapeNames.filter((name) => pinned[name] !== wanted[name]);
  return `${path} has ${different.map((name) => `${shapeWords[name]} ${pinned[name]}, not ${wanted[name]}`).join(', ')}`;
}

function bytesOf(name: string, value: Constant, size: number): Uint8Array {
  if (typeof value === 'object') {
    if (value.byteLength === size) return value;
    throw new Error(`the variable ${name} has ${size} bytes, not ${value.byteLength}`);
  }
  const bytes = new Uint8Array(8);
  new BigInt64Array(bytes.buffer)[0] = BigInt(value);
  return bytes.subarray(0, size);
}
