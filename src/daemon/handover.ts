/**
 * How a daemon of the ebpf engine ends for the sake of the one that follows it: by a signal of its own, it leaves the table and all
 * connections in the kernel, also those services that `cleanstop=yes` would remove.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

export const handOver = 'SIGUSR2';

/**
 * Whether the process takes the signal for what it is. ldirectord may have started it: that would die by the signal, and its table would
 * stay where nobody looks for it.
 */
export function knowsHandOver(pid: number, statusOf: (pid: number) => string = systemStatus): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(statusOf(pid))?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> BigInt(constants.signals[handOver] - 1)) & 1n) === 1n;
}

function systemStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // it has ended since
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}
