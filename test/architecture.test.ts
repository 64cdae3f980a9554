import t from 'tap';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rules, violations } from './architecture.ts';

const folder = join(import.meta.dirname, '../src');

t.test('the sources keep the rules of who may import whom', (t) => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const sources = new Map(files.map((file) => [file, readFileSync(join(folder, file), 'utf8')]));
  t.ok(sources.size > 20, `${sources.size} files`);
  t.same(violations(sources), []);
  t.end();
});

t.test('the map of the source tells the same', (t) => {
  const map = readFileSync(join(folder, 'README.md'), 'utf8');
  const rows = [...map.matchAll(/^\| `(\w+)\/` \|[^|]*\| ([^|]+) \|$/gm)];
  const folders = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  t.same(rows.map(([, name]) => name).sort(), folders.map(({ name }) => name).sort());
  for (const [, name = '', imports] of rows) {
    const { uses = [], knows = [] } = rules[name] ?? {};
    // Both of these stand for more than the table has room for.
    if (name === 'daemon' || name === 'engines') continue;
    const told = [...uses, ...knows.map((layer) => `${layer} (types)`)]
      .map((layer) => layer.replace('contract', 'engine contract'))
      .sort();
    t.equal(imports, told.join(', ') || 'nothing', name);
  }
  for (const [, link = ''] of map.matchAll(/]\(([^)]+)\)/g)) t.ok(existsSync(join(folder, link)), link);
  t.end();
});

t.test('every layer that a rule names exists as a rule', (t) => {
  for (const [layer, { uses, knows = [] }] of Object.entries(rules)) {
    t.same(
      [...uses, ...knows].filter((name) => !Object.hasOwn(rules, name)),
      [],
      layer,
    );
  }
  t.end();
});

t.test('the checker finds what breaks a rule', (t) => {
  const broken: readonly [file: string, text: string, complaint: string][] = [
    [
      'monitor/a.ts',
      "import { createRelay } from '../engines/relay/relay.ts';\n",
      'monitor imports engines/relay/relay.ts',
    ],
    [
      'monitor/a.ts',
      "import type { Engine } from '../engines/engine.ts';\n",
      'monitor imports engines/engine.ts',
    ],
    ['engines/relay/a.ts', "import {\n  x,\n} from '../packet/b.ts';\n", 'relay imports engines/packet/b.ts'],
    ['engines/relay/a.ts', "import { x } from '../../config/model.ts';\n", 'relay imports config/model.ts'],
    ['engines/a.ts', "import { x } from './relay/b.ts';\n", 'engine-parts imports engines/relay/b.ts'],
    ['engines/engine.ts', "import { x } from './a.ts';\n", 'contract imports engines/a.ts'],
    [
      'monitor/a.ts',
      "import { x } from '../config/parse.ts';\n",
      'monitor imports more than types from config/parse.ts',
    ],
    [
      'director/a.ts',
      "import type { Pool } from '../scheduling/pool.ts';\n",
      'director imports scheduling/pool.ts',
    ],
    [
      'control/a.ts',
      "import { type X, y } from '../engines/engine.ts';\n",
      'control imports more than types from engines/engine.ts',
    ],
    ['control/a.ts', "export * from '../daemon/run.ts';\n", 'control imports daemon/run.ts'],
    ['daemon/a.ts', "const x = await import('../bin/directord.ts');\n", 'daemon imports bin/directord.ts'],
    ['util/a.ts', "import { readFileSync } from 'node:fs';\n", 'util does no I/O, but imports node:fs'],
    ['util/a.ts', "import { connect, isIPv4 } from 'node:net';\n", 'util does no I/O, but imports node:net'],
    ['scheduling/a.ts', "import '../director/table.ts';\n", 'scheduling imports director/table.ts'],
    [
      'daemon/a.ts',
      "import { spawn } from 'node:child_process';\n",
      'only platform imports node:child_process',
    ],
    ['engines/packet/a.ts', "import cap from 'cap';\n", 'only platform imports cap'],
    ['engines/ebpf/a.ts', "const koffi = await import('koffi');\n", 'only platform imports koffi'],
    ['misc/a.ts', 'export {};\n', 'no rule says what its folder may import'],
    ['util/a.ts', "import '../../test/x.ts';\n", 'imports ../test/x.ts, outside every layer'],
    ['util/a.ts', 'export enum Colour { red }\n', 'enum'],
    ['util/a.ts', 'export const x: any = 1;\n', 'any'],
    ['util/a.ts', 'const x = y as any;\n', 'any'],
    ['util/a.ts', 'const x: Map<string, any> = y;\n', 'any'],
    ['util/a.ts', '\n'.repeat(501), '501 lines, more than 500'],
  ];
  for (const [file, text, complaint] of broken) {
    t.same(violations(new Map([[file, text]])), [`${file}: ${complaint}`], JSON.stringify(text.slice(0, 60)));
  }
  t.end();
});

t.test('and leaves alone what breaks none', (t) => {
  const fine: readonly [file: string, text: string][] = [
    ['monitor/a.ts', "import type { Virtual } from '../config/model.ts';\n"],
    ['control/a.ts', "import { type EngineReport } from '../engines/engine.ts';\n"],
    ['util/a.ts', "import { isIPv4, isIPv6 } from 'node:net';\n"],
    ['util/a.ts', "// import { x } from '../daemon/run.ts'; with any luck: any\nconst s = ': any';\n"],
    ['engines/packet/a.ts', "import { parse } from '../../wire/ipv4.ts';\n"],
    ['engines/packet/a.ts', "import { Tallies } from '../tallies.ts';\n"],
    ['platform/a.ts', "import koffi from 'koffi';\n"],
    ['bin/a.ts', "import { run } from '../daemon/run.ts';\n"],
  ];
  for (const [file, text] of fine) t.same(violations(new Map([[file, text]])), [], text.trim());
  t.end();
});
