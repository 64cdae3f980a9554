/** Mounting and detaching (mount(2), umount2(2)), and what is mounted where (/proc/self/mountinfo, proc(5)). */
import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import { errno, errorText } from '../libc.ts';

const libc = koffi.load('libc.so.6');
const mountCall = libc.func(
  'int mount(const char *, const char *, const char *, unsigned long, const char *)',
) as (source: string, target: string, type: string, flags: number, options: string) => number;
const umount2 = libc.func('int umount2(const char *, int)') as (target: string, flags: number) => number;

const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** Type of our mounts; `fuse.` and whose. */
export const mountType = 'fuse.directord';

export interface Mounted {
  readonly type: string;
  /** Of the file system, as `major:minor`; no two that are mounted have the same. */
  readonly device: string;
}

/** What is mounted at an absolute path without links; the uppermost, when there are several. */
export function mountedAt(path: string): Mounted | undefined {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const fields = lines.map((line) => line.split(' ')).findLast((words) => unescape(words[4] ?? '') === path);
  const type = fields?.[fields.indexOf('-') + 1];
  const device = fields?.[2];
  return type === undefined || device === undefined ? undefined : { type, device };
}

/** @throws Error in the words of the C library */
export function mountFuse(path: string, descriptor: number, largestRead: number): void {
  const options = `fd=${descriptor},rootmode=40555,user_id=0,group_id=0,allow_other,default_permissions,max_read=${largestRead}`;
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mountCall('directord', path, mountType, flags, options) !== 0) throw new Error(errorText(errno()));
}

/** Takes the mount away at once; readers that are in it meet their end there. @throws Error in the words of the C library */
export function detach(path: string): void {
  if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) !== 0) throw new Error(errorText(errno()));
}

/** As proc(5) writes blanks and backslashes. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
