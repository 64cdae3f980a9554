/** What a peer costs: CPU and memory of all its processes, and of the machine. */
import { readFileSync } from 'node:fs';
import { familyOf } from '../test/scenario/lab/processes.ts';
import type { Peer } from './peer.ts';

const ticksASecond = 100;

/** Seconds of all processes of a peer so far; NaN for the kernel, which has none. */
export function cpuSeconds({ program }: Peer): number {
  if (program === undefined) return NaN;
  return sum(familyOf(program.pid).map(processSeconds));
}

/** Seconds of one process so far. */
export function processSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksASecond;
}

/** Everything but idle and waiting for disks. */
export function machineSeconds(): number {
  const line = readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/ +/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) / ticksASecond;
}

/** Megabytes of all processes of a peer. */
export function residentMegabytes({ program }: Peer): number {
  if (program === undefined) return NaN;
  return sum(familyOf(program.pid).map(megabytesOf));
}

export function megabytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1000;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
