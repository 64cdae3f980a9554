/**
 * The rules of who may import whom (the layers of the design), as data, and a checker for them. Works on texts, so that
 * it can be tried on files that do not exist.
 */
import { posix } from 'node:path';

/** Path below src (`engines/relay/relay.ts`) -> text. */
export type Sources = ReadonlyMap<string, string>;

interface Rule {
  /** Layers whose values it may import, besides itself. */
  readonly uses: readonly string[];
  /** Layers it may know by `import type` only. */
  readonly knows?: readonly string[];
  /** Reads no clock, file or socket: may import only these of Node's modules. */
  readonly pure?: true;
}

const forEngines = ['util', 'director', 'contract', 'scheduling', 'connections', 'platform'];

/**
 * `contract` is the engine contract, src/engines/engine.ts; `engine-parts` is what engines share, the other files of
 * src/engines.
 */
export const rules: Readonly<Record<string, Rule>> = {
  util: { uses: [], pure: true },
  wire: { uses: ['util'], pure: true },
  scheduling: { uses: ['util'], pure: true },
  connections: { uses: ['util', 'scheduling'], pure: true },
  director: { uses: ['util'], pure: true },
  contract: { uses: ['util'], knows: ['director'], pure: true },
  config: { uses: ['util', 'director'] },
  monitor: { uses: ['util', 'director'], knows: ['config'] },
  'engine-parts': { uses: forEngines },
  marks: { uses: ['util', 'platform', 'engine-parts', 'wire'] },
  relay: { uses: [...forEngines, 'engine-parts'] },
  packet: { uses: [...forEngines, 'engine-parts', 'marks', 'wire'] },
  ebpf: { uses: [...forEngines, 'engine-parts', 'marks', 'wire'] },
  observe: { uses: ['util', 'director', 'contract'] },
  control: { uses: ['util', 'director'], knows: ['contract', 'observe'] },
  platform: { uses: ['util'] },
  cli: { uses: ['util', 'director', 'control', 'observe', 'platform'], knows: ['contract', 'config'] },
  daemon: {
    uses: ['util', 'director', 'contract', 'config', 'monitor', 'relay', 'packet', 'ebpf'].concat([
      'engine-parts',
      'observe',
      'control',
      'platform',
      'scheduling',
      'connections',
      'wire',
      'cli',
    ]),
  },
  bin: { uses: ['daemon', 'cli', 'platform'] },
};

/** Modules with native code or processes behind them: only src/platform imports them. */
const platformOnly = ['cap', 'raw-socket', 'koffi', 'node:child_process'];

/** What a pure layer may have from Node. `node:net` for its address predicates alone. */
const pureModules = ['node:util', 'node:assert', 'node:buffer'];
const pureNames = ['isIP', 'isIPv4', 'isIPv6'];

const longest = 500;

interface Import {
  readonly from: string;
  /** `import type`, or every name in it marked so. */
  readonly typesOnly: boolean;
  readonly names: readonly string[];
}

/** @returns one sentence for each broken rule */
export function violations(sources: Sources): readonly string[] {
  return [...sources].flatMap(([file, text]) => [
    ...shapeViolations(file, text),
    ...importsOf(text).flatMap((found) => importViolations(file, found)),
  ]);
}

function shapeViolations(file: string, text: string): readonly string[] {
  const found: string[] = [];
  const lines = text.split('\n').length - 1;
  const code = withoutCommentsAndStrings(text);
  if (layerOf(file) === undefined) found.push(`${file}: no rule says what its folder may import`);
  if (lines > longest) found.push(`${file}: ${lines} lines, more than ${longest}`);
  if (/(^|[^\w.])enum\s+\w+\s*\{/.test(code)) found.push(`${file}: enum`);
  if (/(:|<|\bas|\||&|,)\s*any\b(?!\s*[:(])/.test(code)) found.push(`${file}: any`);
  return found;
}

function importViolations(file: string, { from, typesOnly, names }: Import): readonly string[] {
  const layer = layerOf(file);
  const rule = layer === undefined ? undefined : rules[layer];
  if (rule === undefined) return [];
  if (!from.startsWith('.')) {
    if (layer !== 'platform' && platformOnly.includes(from))
      return [`${file}: only platform imports ${from}`];
    if (rule.pure !== true || typesOnly || pureModules.includes(from)) return [];
    if (from === 'node:net' && names.every((name) => pureNames.includes(name))) return [];
    return [`${file}: ${layer ?? ''} does no I/O, but imports ${from}`];
  }
  const target = posix.join(posix.dirname(file), from);
  const targetLayer = layerOf(target);
  if (targetLayer === undefined) return [`${file}: imports ${target}, outside every layer`];
  if (targetLayer === layer || rule.uses.includes(targetLayer)) return [];
  if (rule.knows?.includes(targetLayer) !== true) return [`${file}: ${layer ?? ''} imports ${target}`];
  return typesOnly ? [] : [`${file}: ${layer ?? ''} imports more than types from ${target}`];
}

function layerOf(file: string): string | undefined {
  const [folder = '', second = ''] = file.split('/');
  const shared = second === 'engine.ts' ? 'contract' : 'engine-parts';
  const name = folder !== 'engines' ? folder : second.endsWith('.ts') ? shared : second;
  return Object.hasOwn(rules, name) ? name : undefined;
}

function importsOf(text: string): readonly Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const statements = code.matchAll(/^\s*(?:import|export)\b(?:([^;'"`]*?)\bfrom)?\s*'([^']+)'/gm);
  const calls = code.matchAll(/\b(?:import|require|createRequire\([^)]*\))\s*\(\s*'([^']+)'/g);
  return [
    ...[...statements].map(([, clause = '', from = '']) => readClause(clause, from)),
    ...[...calls].map(([, from = '']) => ({ from, typesOnly: false, names: ['*'] })),
  ];
}

function readClause(clause: string, from: string): Import {
  const typeClause = /^\s*type\b/.test(clause);
  const words = clause
    .replace(/^\s*type\b/, '')
    .replace(/[{}]/g, ' ')
    .split(',');
  const names = words.map((word) => word.trim()).filter(Boolean);
  const typesOnly = typeClause || (names.length > 0 && names.every((name) => name.startsWith('type ')));
  return { from, typesOnly, names: names.map((name) => name.split(/\s+as\s+/)[0] ?? name) };
}

function withoutCommentsAndStrings(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, "''")
    .replace(/\/\/.*$/gm, '');
}
