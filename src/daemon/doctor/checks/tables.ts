/** Whether the tables of the ebpf engine have room, and what its programs have dropped so far. */
import type { TableFill } from '../../../engines/engine.ts';
import type { Facts } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { ok, warn } from '../finding.ts';

/** Part of the slots from which on keys begin to find no room. */
const tight = 0.75;

export function tables({ fill }: Facts): readonly Finding[] {
  if (fill === undefined) return [];
  const drops = Array.from(fill.drops, ([reason, count]) => `${count} ${reason}`).join(', ');
  return [...fill.tables.map(room), ok('packets dropped so far', drops === '' ? 'none' : drops)];
}

function room({ family, table, used, slots, refused, unpromoted }: TableFill): Finding {
  const subject = `IPv${family} ${table}`;
  const share = `${used} of ${slots} slots in use (${Math.round((100 * used) / slots)} %)`;
  const lacks = [
    ...(refused === 0 ? [] : [`${refused} found no room so far`]),
    ...(unpromoted === 0
      ? []
      : [`${unpromoted} stayed among the half-open ones, where a flood may end them`]),
  ];
  const text = [share, ...lacks].join('; ');
  if (used < tight * slots && lacks.length === 0) return ok(subject, text);
  return warn(subject, text, 'directord stop, with cleanstop, then start with larger --connections');
}
