/** What the tests of this folder have in common: programs compiled from the C files beside them, and a bpffs of the process's own. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { ensureBpffs } from '../../../src/platform/bpf/bpffs.ts';
import { probeBpf } from '../../../src/platform/bpf/probe.ts';

/** Why such tests cannot run here, or false. */
export const skip = whyNot();

const folder = mkdtempSync(join(tmpdir(), 'directord-bpf-'));
process.on('exit', () => {
  for (const path of mounted) umount(path, MNT_DETACH);
  rmSync(folder, { recursive: true, force: true });
});

const libc = koffi.load('libc.so.6');
const unshare = libc.func('int unshare(int)') as (flags: number) => number;
const mount = libc.func('int mount(str, str, str, unsigned long, void *)') as (
  source: string,
  target: string,
  type: string | null,
  flags: number,
  options: null,
) => number;
const umount = libc.func('int umount2(str, int)') as (target: string, flags: number) => number;

const CLONE_NEWNS = 0x20000;
const MS_REC = 0x4000;
const MS_PRIVATE = 0x40000;
const MNT_DETACH = 2;
const mounted: string[] = [];

/** @param name of a C file here, without `.bpf.c` @returns path of the object */
export function compile(name: string): string {
  const object = join(folder, `${name}.bpf.o`);
  const source = fileURLToPath(new URL(`${name}.bpf.c`, import.meta.url));
  const includes = `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  execFileSync('clang', ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', includes, '-c', source, '-o', object]);
  return object;
}

/** Mounts a bpffs that only this process sees, and that vanishes with it. @returns its path */
export function ownBpffs(): string {
  if (unshare(CLONE_NEWNS) !== 0 || mount('none', '/', null, MS_REC | MS_PRIVATE, null) !== 0)
    throw new Error('no mount namespace');
  const path = join(folder, 'bpffs');
  mkdirSync(path);
  ensureBpffs(path);
  mounted.push(path);
  return path;
}

export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function wide(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'BPF needs root';
  try {
    execFileSync('clang', ['--version']);
  } catch {
    return 'no clang to compile programs with';
  }
  const answer = probeBpf();
  return answer.available ? false : answer.reason;
}
