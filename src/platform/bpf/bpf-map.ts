/**
 * A BPF map: keys and values are bytes in the machine's order, as the program's C structs lay them out. Everything is one
 * system call; where there are many entries the kernel's batch commands move thousands in one.
 */
import { closeSync } from 'node:fs';
import { errno } from '../libc.ts';
import { BpfError } from './bpf-error.ts';
import { attempt, libbpf } from './libbpf.ts';
import { mapMemory, pageBytes } from './map-memory.ts';

/** enum bpf_map_type */
export const MapType = {
  hash: 1,
  array: 2,
  percpuHash: 5,
  percpuArray: 6,
  lruHash: 9,
  lruPercpuHash: 10,
  lpmTrie: 11,
  arrayOfMaps: 12,
  hashOfMaps: 13,
  devmap: 14,
  ringbuf: 27,
} as const;

/** Flags of a map. */
export const BPF_F_NO_PREALLOC = 1;
export const BPF_F_MMAPABLE = 0x400;

/** Flags of an update: create or replace, create only, replace only. */
export const BPF_ANY = 0;
export const BPF_NOEXIST = 1;
export const BPF_EXIST = 2;

const ENOENT = 2;
const EEXIST = 17;
const EINVAL = 22;
const ENOSPC = 28;
const ENOTSUPP = 524;

/** Entries that are fetched by one system call unless the caller says otherwise. */
const usualBatch = 4096;
const nameBytes = 16;

const perCpuTypes: ReadonlySet<number> = new Set([
  MapType.percpuHash,
  MapType.percpuArray,
  MapType.lruPercpuHash,
]);

export interface MapShape {
  /** One of {@link MapType}. */
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

export interface MapBatch {
  readonly count: number;
  /** `count` keys, one behind the other. */
  readonly keys: Buffer;
  /** `count` values of {@link BpfMap.valueBytes} each. */
  readonly values: Buffer;
}

export class BpfMap implements MapShape {
  readonly name: string;
  readonly id: number;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** What one lookup brings: of a per-CPU map the values of all CPUs, each rounded up to 8 bytes. */
  readonly valueBytes: number;
  readonly #fd: number;
  readonly #owned: boolean;
  #memory: ArrayBuffer | undefined;
  #closed = false;

  /** @param owned whether {@link close} closes the descriptor too @param name the kernel knows its first 15 letters */
  constructor(fd: number, owned: boolean, name?: string) {
    const info = Buffer.alloc(80);
    objectInfo('map', fd, info);
    this.#fd = fd;
    this.#owned = owned;
    this.type = info.readUInt32LE(0);
    this.id = info.readUInt32LE(4);
    this.keySize = info.readUInt32LE(8);
    this.valueSize = info.readUInt32LE(12);
    this.maxEntries = info.readUInt32LE(16);
    this.flags = info.readUInt32LE(20);
    this.name = name ?? cText(info, 24, nameBytes);
    this.valueBytes = perCpuTypes.has(this.type) ? eights(this.valueSize) * possibleCpus() : this.valueSize;
  }

  /** @throws when it is closed: the number may be somebody else's by now */
  get fd(): number {
    if (this.#closed) throw new Error(`the map ${this.name} is closed`);
    return this.#fd;
  }

  static create(shape: MapShape & { readonly name: string }): BpfMap {
    const options = Buffer.alloc(40);
    options.writeUInt32LE(options.length, 0);
    options.writeUInt32LE(shape.flags, 28);
    const fd = attempt(`creating the map ${shape.name}`, () =>
      libbpf().bpf_map_create(
        shape.type,
        shape.name,
        shape.keySize,
        shape.valueSize,
        shape.maxEntries,
        options,
      ),
    );
    return new BpfMap(fd, true, shape.name);
  }

  /** @throws BpfError, of code ENOENT when there is none */
  static openPinned(path: string): BpfMap {
    return new BpfMap(
      attempt(`opening the map pinned at ${path}`, () => libbpf().bpf_obj_get(path)),
      true,
    );
  }

  /** @returns a copy of the value; undefined when there is none */
  lookup(key: Uint8Array): Buffer | undefined {
    this.#isKey(key);
    const value = Buffer.alloc(this.valueBytes);
    if (libbpf().bpf_map_lookup_elem(this.fd, key, value) >= 0) return value;
    this.#unless(ENOENT, 'reading');
    return undefined;
  }

  /** Of a per-CPU map: the values of all CPUs, concatenated, each rounded up to 8 bytes. */
  lookupPerCpu(key: Uint8Array): Buffer {
    const value = this.lookup(key);
    if (value === undefined) throw new BpfError(`reading the map ${this.name}`, ENOENT);
    return value;
  }

  /** @returns false when the flags forbid it: it does exist (BPF_NOEXIST), or does not (BPF_EXIST) */
  update(key: Uint8Array, value: Uint8Array, flags: number = BPF_ANY): boolean {
    this.#isKey(key);
    if (value.byteLength !== this.valueBytes)
      throw this.#wrongSize('value', value.byteLength, this.valueBytes);
    if (libbpf().bpf_map_update_elem(this.fd, key, value, flags) >= 0) return true;
    this.#unless(flags === BPF_NOEXIST ? EEXIST : flags === BPF_EXIST ? ENOENT : 0, 'writing');
    return false;
  }

  /** @returns whether there was such an entry */
  delete(key: Uint8Array): boolean {
    this.#isKey(key);
    if (libbpf().bpf_map_delete_elem(this.fd, key) >= 0) return true;
    this.#unless(ENOENT, 'deleting from');
    return false;
  }

  /** @param keys one behind the other @param values one behind the other, of {@link valueBytes} each */
  updateBatch(keys: Uint8Array, values: Uint8Array): void {
    const entries = this.#countOf(keys);
    if (values.byteLength !== entries * this.valueBytes)
      throw this.#wrongSize(`values of ${entries} entries`, values.byteLength, entries * this.valueBytes);
    if (entries === 0) return;
    const count = Uint32Array.of(entries);
    const options = Buffer.alloc(24);
    options.writeUInt32LE(options.length, 0);
    if (libbpf().bpf_map_update_batch(this.fd, keys, values, count, options) >= 0) return;
    const error = errno();
    if (error !== ENOTSUPP) throw new BpfError(`writing ${entries} entries to the map ${this.name}`, error);
    for (let index = 0; index < entries; index++)
      this.update(part(keys, index, this.keySize), part(values, index, this.valueBytes));
  }

  /** Deletes those of the keys that are in the map. @param keys one behind the other */
  deleteBatch(keys: Uint8Array): void {
    const entries = this.#countOf(keys);
    // the kernel's batch stops at the first key that is missing: what is left goes one by one past it
    for (let done = 0; done < entries;) {
      const rest = keys.subarray(done * this.keySize);
      const count = Uint32Array.of(entries - done);
      if (libbpf().bpf_map_delete_batch(this.fd, rest, count, null) >= 0) return;
      const error = errno();
      if (error !== ENOENT && error !== ENOTSUPP)
        throw new BpfError(`deleting ${entries} entries from the map ${this.name}`, error);
      done += error === ENOENT ? (count[0] ?? 0) : 0;
      if (done < entries) this.delete(part(keys, done++, this.keySize));
    }
  }

  /** Everything that is in the map, in batches of at most `size` entries; buffers are the caller's to keep. */
  *batches(size: number = Math.min(usualBatch, this.maxEntries)): Generator<MapBatch> {
    let from: Buffer | null = null;
    let most = size;
    for (;;) {
      const keys = Buffer.alloc(most * this.keySize);
      const values = Buffer.alloc(most * this.valueBytes);
      const to: Buffer = Buffer.alloc(Math.max(4, this.keySize));
      const count = Uint32Array.of(most);
      const result = libbpf().bpf_map_lookup_batch(this.fd, from, to, keys, values, count, null);
      const error = result < 0 ? errno() : 0;
      // one bucket of a hash holds more than was asked for
      if (error === ENOSPC && most < this.maxEntries) {
        most = Math.min(most * 2, this.maxEntries);
        continue;
      }
      if (error !== 0 && error !== ENOENT) {
        if (error !== ENOTSUPP || from !== null) throw new BpfError(`reading the map ${this.name}`, error);
        yield* this.#singles(size);
        return;
      }
      const got = count[0] ?? 0;
      if (got > 0)
        yield {
          count: got,
          keys: keys.subarray(0, got * this.keySize),
          values: values.subarray(0, got * this.valueBytes),
        };
      if (error === ENOENT) return;
      from = to;
    }
  }

  *entries(): Generator<[key: Buffer, value: Buffer]> {
    for (const { count, keys, values } of this.batches()) {
      for (let index = 0; index < count; index++)
        yield [part(keys, index, this.keySize), part(values, index, this.valueBytes)];
    }
  }

  *keys(): Generator<Buffer> {
    for (const [key] of this.entries()) yield key;
  }

  /**
   * The counters of a per-CPU array whose values are u64s, all in one system call: sums over the CPUs, the words of entry
   * 0, then those of entry 1 ... Exact up to 2^53.
   */
  sumPerCpu(): Float64Array {
    const words = eights(this.valueSize) / 8;
    const sums = new Float64Array(this.maxEntries * words);
    let entry = 0;
    for (const { count, values } of this.batches(this.maxEntries)) {
      const halves = new Uint32Array(values.buffer, values.byteOffset, values.byteLength / 4);
      const entryHalves = this.valueBytes / 4;
      for (let index = 0; index < count; index++, entry++) {
        const first = index * entryHalves;
        for (let half = 0; half < entryHalves; half += 2) {
          const at = entry * words + ((half / 2) % words);
          const value = (halves[first + half] ?? 0) + (halves[first + half + 1] ?? 0) * 0x1_0000_0000;
          sums[at] = (sums[at] ?? 0) + value;
        }
      }
    }
    return sums;
  }

  /**
   * The values of an array map with BPF_F_MMAPABLE as shared memory: programs see what JavaScript writes, and the other way
   * round. Values are 8-byte aligned, entry `i` begins at `i * ((valueSize + 7) & ~7)`. Stays usable after {@link close}.
   */
  view(): ArrayBuffer {
    if (this.#memory === undefined) {
      if ((this.flags & BPF_F_MMAPABLE) === 0) throw new BpfError(`mapping the map ${this.name}`, EINVAL);
      const length = Math.ceil((eights(this.valueSize) * this.maxEntries) / pageBytes) * pageBytes;
      this.#memory = mapMemory(`the map ${this.name}`, { fd: this.fd, length, writable: true });
    }
    return this.#memory;
  }

  /** Keeps it in the kernel under this name until the file is removed. */
  pin(path: string): void {
    attempt(`pinning the map ${this.name} at ${path}`, () => libbpf().bpf_obj_pin(this.fd, path));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#memory = undefined;
    if (this.#owned) closeSync(this.#fd);
  }

  *#singles(size: number): Generator<MapBatch> {
    let previous: Buffer | null = null;
    let keys: Buffer[] = [];
    let values: Buffer[] = [];
    for (;;) {
      const key: Buffer = Buffer.alloc(this.keySize);
      const ended = libbpf().bpf_map_get_next_key(this.fd, previous, key) < 0;
      if (ended) this.#unless(ENOENT, 'listing');
      else {
        previous = key;
        const value = this.lookup(key);
        // somebody deleted it meanwhile
        if (value === undefined) continue;
        keys.push(key);
        values.push(value);
      }
      if (keys.length > 0 && (ended || keys.length === size)) {
        yield { count: keys.length, keys: Buffer.concat(keys), values: Buffer.concat(values) };
        keys = [];
        values = [];
      }
      if (ended) return;
    }
  }

  #isKey(key: Uint8Array): void {
    if (key.byteLength !== this.keySize) throw this.#wrongSize('key', key.byteLength, this.keySize);
  }

  #countOf(keys: Uint8Array): number {
    const entries = keys.byteLength / this.keySize;
    if (!Number.isInteger(entries)) throw this.#wrongSize('key', keys.byteLength, this.keySize);
    return entries;
  }

  /** The kernel reads and writes as many bytes as the map says: a shorter buffer must never reach it. */
  #wrongSize(what: string, bytes: number, wanted: number): Error {
    return new Error(`map ${this.name}: a ${what} of ${bytes} bytes, not ${wanted}`);
  }

  #unless(expected: number, doing: string): void {
    const error = errno();
    if (error !== expected) throw new BpfError(`${doing} the map ${this.name}`, error);
  }
}

/** CPUs that there can ever be: as many values has an entry of a per-CPU map. */
export function possibleCpus(): number {
  return attempt('counting CPUs', () => libbpf().libbpf_num_possible_cpus());
}

/** Fills `info` with struct bpf_map_info, bpf_prog_info or bpf_link_info. */
export function objectInfo(what: 'map' | 'program' | 'link', fd: number, info: Uint8Array): void {
  const length = Uint32Array.of(info.byteLength);
  attempt(`reading about a ${what}`, () => libbpf().bpf_obj_get_info_by_fd(fd, info, length));
}

export function cText(bytes: Buffer, at: number, most: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString('latin1', at, end < 0 ? at + most : Math.min(end, at + most));
}

function eights(bytes: number): number {
  return (bytes + 7) & ~7;
}

function part(all: Uint8Array, index: number, size: number): Buffer {
  return Buffer.from(all.buffer, all.byteOffset + index * size, size);
}
