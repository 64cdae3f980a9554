/** Names of scheduler flags (`-b`): the three bits have names of their own under sh and mh. */
import { UsageFault } from './directoradm-faults.ts';

interface FlagName {
  readonly name: string;
  readonly bit: number;
  /** Only with this scheduler. */
  readonly scheduler?: string;
}

const flagNames: readonly FlagName[] = [
  { name: 'flag-1', bit: 1 },
  { name: 'flag-2', bit: 2 },
  { name: 'flag-3', bit: 4 },
  { name: 'sh-fallback', bit: 1, scheduler: 'sh' },
  { name: 'sh-port', bit: 2, scheduler: 'sh' },
  { name: 'mh-fallback', bit: 1, scheduler: 'mh' },
  { name: 'mh-port', bit: 2, scheduler: 'mh' },
];

/** @throws UsageFault */
export function parseSchedulerFlags(text: string, scheduler: string): number {
  const words = text.split(',').filter((word) => word !== '');
  // ipvsadm crashes here.
  if (text !== '' && words.length === 0) throw new UsageFault(2, `invalid scheduler flag \`${text}'`);
  return words.reduce((flags, word) => flags | flagBit(word, scheduler), 0);
}

/** `sh-fallback,sh-port`. Bits that have no name under sh and mh are left out, so it may be empty. */
export function formatSchedulerFlags(flags: number, scheduler: string): string {
  const owner = scheduler === 'sh' || scheduler === 'mh' ? scheduler : undefined;
  return flagNames
    .filter((flag) => flag.scheduler === owner && (flags & flag.bit) !== 0)
    .map((flag) => flag.name)
    .join(',');
}

function flagBit(word: string, scheduler: string): number {
  const flag = flagNames.find(({ name }) => name === word);
  if (flag === undefined) throw new UsageFault(2, `invalid scheduler flag \`${word}'`);
  if (flag.scheduler !== undefined && flag.scheduler !== scheduler) {
    throw new UsageFault(2, `incompatible scheduler flag \`${word}'`);
  }
  return flag.bit;
}
