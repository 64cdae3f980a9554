/**
 * The file system in which the kernel keeps BPF objects by name (bpffs): a program, map or link lives as long as a file there does.
 */
import { mkdirSync, readdirSync, rmSync, statfsSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { errno } from '../libc.ts';
import { BpfError } from './bpf-error.ts';

export const usualBpffs = '/sys/fs/bpf';

const BPF_FS_MAGIC = 0xcafe_4a11;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;

const mount = koffi
  .load('libc.so.6')
  .func('int mount(const char *, const char *, const char *, unsigned long, const char *)') as (
  source: string,
  target: string,
  type: string,
  flags: number,
  options: string,
) => number;

/** Whether a path is inside a bpffs. */
export function isBpffs(path: string = usualBpffs): boolean {
  try {
    return statfsSync(path).type === BPF_FS_MAGIC;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/**
 * Mounts a bpffs at `path` where there is none.
 * @returns whether it had to
 * @throws BpfError when the kernel refuses: not root, or a container without the right to mount
 */
export function ensureBpffs(path: string = usualBpffs): boolean {
  if (isBpffs(path)) return false;
  if (mount('bpf', path, 'bpf', MS_NOSUID | MS_NODEV | MS_NOEXEC, 'mode=700') < 0)
    throw new BpfError(`mounting a bpffs at ${path}`, errno());
  return true;
}

/** Makes a directory and those above it. */
export function makePinDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Names in a directory of a bpffs, in order; none when there is no such directory. */
export function listPins(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** @returns whether there was such a pin */
export function removePin(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Removes a directory with all pins in it; programs whose links were only pinned come off their interfaces. */
export function removePins(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/** A pin's path for any name, an interface's above all: bpffs does not allow dots. No two names get the same path. */
export function pinPath(directory: string, name: string): string {
  return join(directory, name.replaceAll('%', '%25').replaceAll('.', '%2E'));
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
