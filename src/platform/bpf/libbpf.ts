/**
 * libbpf, loaded when it is first needed, and what it prints made part of the error that it goes with. Each function is
 * resolved at its first call, so that an older libbpf serves for all that it knows.
 */
import koffi from 'koffi';
import { errno } from '../libc.ts';
import { BpfError } from './bpf-error.ts';
import type { Libbpf } from './libbpf-functions.ts';
import { signatures } from './libbpf-functions.ts';

type Library = ReturnType<typeof koffi.load>;

const notInstalled = 'libbpf is not installed: apt install libbpf1';
/** The newest first. */
const files = ['libbpf.so.1', 'libbpf.so.0'];

let library: Library | undefined;
let functions: Libbpf | undefined;

/** @throws in words for people when the host has no libbpf */
export function libbpf(): Libbpf {
  return (functions ??= resolved(open()));
}

function open(): Library {
  for (const file of files) {
    try {
      library = koffi.load(file);
      break;
    } catch {
      // the next, older one
    }
  }
  if (library === undefined) throw new Error(notInstalled);
  // it would print to stderr, whatever nobody asked for
  library.func('libbpf_set_print', 'void *', ['void *'])(null);
  return library;
}

function resolved(from: Library): Libbpf {
  const all = {};
  for (const [name, [result, ...parameters]] of Object.entries(signatures)) {
    Object.defineProperty(all, name, {
      configurable: true,
      get: () => {
        const value = symbol(from, name, () => from.func(name, result, parameters));
        Object.defineProperty(all, name, { value });
        return value;
      },
    });
  }
  return all as Libbpf;
}

function symbol<Result>(from: Library, name: string, find: () => Result): Result {
  try {
    return find();
  } catch {
    const version = from.func('libbpf_version_string', 'str', [])() as string;
    throw new Error(`this host's libbpf (${version}) is too old, it has no ${name}: apt install libbpf1`);
  }
}

/**
 * Calls libbpf.
 * @param doing what for, in the words of the error: `pinning the map pool`
 * @param call returns what libbpf does: negative is a failure
 */
export function attempt(doing: string, call: () => number): number {
  const result = call();
  if (result < 0) throw new BpfError(doing, errno());
  return result;
}

/** {@link attempt} for calls that explain themselves by printing; a null pointer is a failure too. */
export function attemptAloud<Result extends number | bigint | null>(
  doing: string,
  call: () => Result,
): Exclude<Result, null> {
  const { result, error, printed } = whilePrinting(call);
  if (result === null || result < 0) throw new BpfError(doing, error, printed);
  return result as Exclude<Result, null>;
}

/** libbpf 0.x says failures of pointers in the highest addresses. */
export function isPointer(pointer: bigint | null): pointer is bigint {
  return pointer !== null && pointer < 0xffff_ffff_ffff_f000n;
}

const printed: string[] = [];
/** A verifier's log may be this long; untouched pages of it cost nothing. */
const mostPrinted = 16 << 20;
const WARN = 0;

let startPrinting: (() => void) | undefined;
let stopPrinting: (() => void) | undefined;

function whilePrinting<Result>(call: () => Result): { result: Result; error: number; printed: string[] } {
  if (startPrinting === undefined || stopPrinting === undefined) preparePrinting();
  printed.length = 0;
  startPrinting?.();
  try {
    const result = call();
    return { result, error: errno(), printed: printed.slice() };
  } finally {
    stopPrinting?.();
  }
}

function preparePrinting(): void {
  libbpf();
  const setPrint = library?.func('libbpf_set_print', 'void *', ['void *']) as (print: bigint | null) => void;
  // a va_list is handed on by its address, on x86-64 and on arm64
  const format = koffi
    .load('libc.so.6')
    .func('vsnprintf', 'int', ['void *', 'uint64_t', 'void *', 'void *']) as (
    into: Uint8Array,
    size: number,
    pattern: bigint,
    values: bigint,
  ) => number;
  const print = koffi.register(
    (level: number, pattern: bigint, values: bigint): number => {
      if (level !== WARN) return 0;
      const text = Buffer.alloc(mostPrinted);
      const length = Math.min(format(text, mostPrinted, pattern, values), mostPrinted - 1);
      printed.push(text.toString('utf8', 0, Math.max(0, length)));
      return 0;
    },
    koffi.pointer(koffi.proto('int', ['int', 'void *', 'void *'])),
  );
  startPrinting = () => {
    setPrint(print);
  };
  stopPrinting = () => {
    setPrint(null);
  };
}
