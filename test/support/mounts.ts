/** What a directord that was killed leaves mounted, so that its directory can be removed. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync } from 'node:fs';

/** Mount points below a directory that is there. */
export function mountsBelow(directory: string): readonly string[] {
  const place = `${realpathSync(directory)}/`;
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  return points.filter((point) => point.startsWith(place));
}

/** Makes the directory, and a BPF file system of its own in it. */
export function mountBpffs(directory: string): void {
  mkdirSync(directory);
  execFileSync('mount', ['-t', 'bpf', 'bpf', directory]);
}

/** Takes them away at once, also those whose directord still lives. */
export function detachMountsBelow(directory: string): void {
  for (const point of mountsBelow(directory)) execFileSync('umount', ['--lazy', point]);
}
