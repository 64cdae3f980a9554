/** The compiler says whether both sides of the shared records mean the same bytes. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { dropWords } from '../../../src/engines/ebpf/drops.ts';
import { BPF_F_MMAPABLE } from '../../../src/platform/bpf/bpf-map.ts';
import { Pool } from '../../../src/scheduling/pool.ts';
import { skip } from '../../platform/bpf/lab.ts';
import { load } from './lab.ts';
import * as layout from '../../../src/engines/ebpf/layout.ts';

const headers = join(import.meta.dirname, '../../../src/engines/ebpf/bpf');

/** C's name, if it is not that of TypeScript with underscores. */
const structs = {
  rules: layout.Rules,
  server: layout.Server,
  hop: layout.Hop,
  flow: layout.Flow,
  flow6: layout.Flow6,
  endpoint: layout.Endpoint,
  traffic: layout.Traffic,
  tally: { bytes: layout.Traffic.bytes },
  settings: layout.Settings,
  template_name: layout.TemplateName,
  template_data: layout.TemplateData,
  mark_rule: layout.MarkRule,
  card: layout.Card,
  interface: layout.Interface,
  capturing: layout.Capturing,
  captured: layout.Captured,
  simulated: layout.Simulated,
} as const;

const keys: ReadonlySet<string> = new Set(['endpoint', 'hop', 'interface']);

const numbers: readonly (readonly [c: string, typescript: number])[] = [
  ...named('RULES', layout.RulesFlag),
  ...named('SERVER', layout.ServerFlag),
  ...named('FLOW', layout.FlowFlag),
  ...named('', layout.Life),
  ...named('', layout.FlowTable),
  ...named('MARK', layout.MarkRuleKind),
  ...named('MARK', layout.MarkRuleSide),
  ['MOST_MARK_RULES', layout.mostMarkRules],
  ['WAYS', layout.ways],
  ['NO_SLOT', layout.noSlot],
  ['INDEX_MASK', layout.indexMask],
  ['TCP_STATES', 11],
  ['CAPTURED_INTERFACES', layout.capturedInterfaces],
  ['CAPTURED_BYTES', layout.capturedBytes],
  ...named('HOOK', layout.Hook),
  ...layout.outcomes.map((name, at) => [`OUTCOME_${name.replace('-', '_').toUpperCase()}`, at] as const),
  ...layout.passings.map((name, at) => [`PASSING_${name.replace('-', '_').toUpperCase()}`, at] as const),
  ['DROPS', dropWords.length],
];

function named(prefix: string, values: Readonly<Record<string, number>>): (readonly [string, number])[] {
  return Object.entries(values).map(([name, value]) => {
    const word = snake(name).toUpperCase();
    return [prefix === '' ? word : `${prefix}_${word}`, value] as const;
  });
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function compile(lines: readonly string[]) {
  const source = ['#include <stddef.h>', '#include "types.h"', ...lines].join('\n');
  return spawnSync(
    'clang',
    ['-target', 'bpf', '-I', headers, '-I/usr/include/x86_64-linux-gnu', '-fsyntax-only', '-x', 'c', '-'],
    { input: source, encoding: 'utf8' },
  ).stderr;
}

function assertion(c: string, value: number): string {
  return `_Static_assert(${c} == ${value}, "${c}");`;
}

t.test('every record and number is where C has it', (t) => {
  const lines = Object.entries(structs).flatMap(([struct, { bytes, ...fields }]) => [
    // an array's entries begin at multiples of eight bytes; others do not
    assertion(
      keys.has(struct) ? `sizeof(struct ${struct})` : `(sizeof(struct ${struct}) + 7) / 8 * 8`,
      bytes,
    ),
    ...Object.entries(fields).map(([field, at]) =>
      assertion(`offsetof(struct ${struct}, ${snake(field)})`, at),
    ),
  ]);
  lines.push(...numbers.map(([c, value]) => assertion(c, value)));
  t.ok(lines.length > 80, `${lines.length} assertions`);
  t.equal(compile(lines), '');
  t.match(compile([assertion('offsetof(struct rules, mark)', layout.Rules.mark + 4)]), /failed/);
  t.end();
});

/** By what TypeScript steps from one record to the next, in every map that it has as memory. */
const strides: Readonly<Record<string, number>> = {
  pool: Pool.bytes({ services: 0, destinations: 0 }),
  rules: layout.Rules.bytes,
  servers: layout.Server.bytes,
  settings: layout.Settings.bytes,
  flows4: layout.ways * layout.Flow.bytes,
  halves4: layout.ways * layout.Flow.bytes,
  templates4: layout.ways * layout.Flow.bytes,
  flows6: layout.ways * layout.Flow6.bytes,
  halves6: layout.ways * layout.Flow6.bytes,
  templates6: layout.ways * layout.Flow6.bytes,
  tallies: layout.Traffic.bytes,
  mark_rules: layout.MarkRule.bytes,
  capturing: layout.Capturing.bytes,
};

/** Mappable, and nobody maps them. */
const programsOnly: ReadonlySet<string> = new Set(['groups']);

t.test('in memory, records are as far apart as the kernel has them', { skip }, (t) => {
  const director = load();
  t.teardown(() => {
    director.close();
  });
  const mapped = director.object.mapNames
    .filter((name) => !name.startsWith('.') && !programsOnly.has(name))
    .map((name) => director.map(name))
    .filter(({ flags }) => (flags & BPF_F_MMAPABLE) !== 0);
  const kernels = mapped.map(({ name, valueSize }) => [name, Math.ceil(valueSize / 8) * 8]);
  t.same(Object.fromEntries(kernels), strides);
  t.end();
});
