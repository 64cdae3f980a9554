/**
 * Memory of the kernel's that JavaScript reads and writes: the values of an mmapable array map, the pages of a ring buffer.
 * It is unmapped when nothing refers to its ArrayBuffer any more, never earlier: who kept a view would crash.
 */
import koffi from 'koffi';
import { errno } from '../libc.ts';
import { BpfError } from './bpf-error.ts';

const libc = koffi.load('libc.so.6');
const mmap = libc.func('void *mmap(void *, uint64_t, int, int, int, int64_t)') as (
  at: null,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => bigint;
const munmap = libc.func('int munmap(void *, uint64_t)') as (at: bigint, length: number) => number;
const sysconf = libc.func('int64_t sysconf(int)') as (name: number) => number;

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
const _SC_PAGESIZE = 30;

export const pageBytes = sysconf(_SC_PAGESIZE);

const unreferenced = new FinalizationRegistry<{ readonly at: bigint; readonly length: number }>(
  ({ at, length }) => {
    munmap(at, length);
  },
);

export interface MappedPart {
  readonly fd: number;
  /** Bytes; rounded up to pages by the kernel. */
  readonly length: number;
  /** A multiple of {@link pageBytes}. */
  readonly offset?: number;
  /** Writing to memory that is not writable ends the process. */
  readonly writable: boolean;
}

/** @param what for the error: `the map pool` */
export function mapMemory(what: string, { fd, length, offset = 0, writable }: MappedPart): ArrayBuffer {
  const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const at = mmap(null, length, protection, MAP_SHARED, fd, offset);
  if (at === MAP_FAILED) throw new BpfError(`mapping ${what} into memory`, errno());
  const memory = koffi.view(at, length);
  unreferenced.register(memory, { at, length });
  return memory;
}
