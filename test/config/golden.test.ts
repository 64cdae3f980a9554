import { readFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { formatAsLdirectord } from '../../src/config/diagnostic.ts';
import type { FileProbes } from '../../src/config/file-probes.ts';
import type { ParseResult } from '../../src/config/parse.ts';
import { parseConfiguration } from '../../src/config/parse.ts';
import { isReadOtherwise } from '../deliberate-differences.ts';
import { fakeNames } from './fake-names.ts';
import { toGolden } from './golden-shape.ts';

type Shape = Readonly<Record<string, unknown>>;

interface Recording {
  readonly name: string;
  readonly config: string;
  /** 2 refused, 3 accepted (and the daemon is not running). */
  readonly rc: number;
  readonly stderr: string;
  readonly parsed?: { readonly global: Shape; readonly virtual: readonly Shape[] };
  /** Ids of all checks, each once. */
  readonly real_ids?: readonly string[];
}

/** The file system of the machine on which the recordings were made. */
const probes: FileProbes = {
  appendProblem(path) {
    if (path === '/run') return 'Is a directory';
    if (path === '"/run/m') return 'Not a directory';
    return path.startsWith('/nonexistent') || path.startsWith('"/') ? 'No such file or directory' : undefined;
  },
  isDirectory: (path) => path === '/run',
};

for (const file of ['ldirectord-config.jsonl', 'ldirectord-config-probes.jsonl']) {
  void t.test(`reads as the real ldirectord did: ${file}`, async (t) => {
    const lines = readFileSync(new URL(`../golden/${file}`, import.meta.url), 'utf8').split('\n');
    const recordings = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Recording);
    t.ok(recordings.length > 100, 'there are recordings');
    for (const recording of recordings) {
      const result = await parseConfiguration(recording.config, {
        file: '/run/x.cf',
        names: fakeNames,
        hostname: 'director',
        probes,
      });
      compare(t, recording, result);
    }
  });
}

function compare(t: Test, recording: Recording, result: ParseResult): void {
  const { name, config, rc } = recording;
  const accepted = rc === 3;
  if (result.ok !== accepted) {
    const difference = isReadOtherwise(config, accepted ? 'refused' : 'accepted');
    t.ok(difference, `${name}: ${accepted ? 'refused' : 'accepted'} only here, on purpose`, {
      config,
      result,
    });
  } else if (result.ok) {
    compareWarnings(t, recording, result);
    if (recording.real_ids !== undefined) {
      const ids = result.configuration.virtuals.flatMap(({ reals }) => reals.map(({ check }) => check.id));
      same(t, recording, [...new Set(ids)], recording.real_ids);
    }
    if (recording.parsed !== undefined) compareValues(t, recording, recording.parsed, result);
  } else if (!isReadOtherwise(config, 'accepted')) {
    const first = result.diagnostics.find(({ severity }) => severity === 'error');
    const ours = first === undefined ? '' : formatAsLdirectord(first, 0).replace('[0]', '[PID]');
    t.equal(
      ours.replace(/"$/, '').trimEnd(),
      theirLines(recording, 'Error')[0]?.trimEnd(),
      `${name}: same first error`,
    );
  }
}

function compareWarnings(t: Test, recording: Recording, result: ParseResult & { ok: true }): void {
  const ours = result.warnings.map((each) => formatAsLdirectord(each, 0).replace('[0]', '[PID]'));
  const missing = theirLines(recording, 'Warning').filter((line) => !ours.includes(line));
  t.same(missing, [], `${recording.name}: no warning is missing`);
}

/** Lines of one severity; the quote that ldirectord puts on a line of its own is left out. */
function theirLines({ stderr }: Recording, severity: 'Error' | 'Warning'): string[] {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith(severity))
    .map((line) => (line.endsWith('"') ? line.slice(0, -1) : line));
}

function compareValues(
  t: Test,
  recording: Recording,
  parsed: NonNullable<Recording['parsed']>,
  result: ParseResult & { ok: true },
): void {
  const ours = toGolden(result.configuration);
  same(t, recording, ours.global, pick(parsed.global, ours.global));
  const inherited = {
    emailalert: parsed.global['EMAILALERT'],
    emailalertfreq: parsed.global['EMAILALERTFREQ'],
    emailalertstatus: parsed.global['EMAILALERTSTATUS'],
    smtp: parsed.global['SMTP'],
    fallbackcommand: parsed.global['FALLBACKCOMMAND'],
  };
  const virtuals = parsed.virtual.map((virtual, i) =>
    pick({ ...inherited, ...virtual }, ours.virtual[i] ?? {}),
  );
  same(t, recording, ours.virtual, virtuals);
}

/** The recorded fields that we have too, to any depth. */
function pick(recorded: unknown, ours: unknown): unknown {
  if (Array.isArray(recorded) && Array.isArray(ours)) {
    return recorded.map((item: unknown, i) => pick(item, ours[i]));
  }
  if (!isShape(recorded) || !isShape(ours)) return recorded;
  return Object.fromEntries(Object.keys(ours).map((key) => [key, pick(recorded[key], ours[key])]));
}

function same(t: Test, recording: Recording, ours: unknown, theirs: unknown): void {
  const [mine, recorded] = [plain(ours), plain(theirs)];
  if (JSON.stringify(mine) === JSON.stringify(recorded)) {
    t.pass(`${recording.name}: same values`);
  } else if (isReadOtherwise(recording.config, 'values') || isReadOtherwise(recording.config, 'accepted')) {
    t.pass(`${recording.name}: other values on purpose`);
  } else {
    t.same(mine, recorded, recording.name);
  }
}

/** Numbers that were recorded as text become numbers; absent, empty and zero are one. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (isShape(value))
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
  if (value === undefined || value === null || value === '') return 0;
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
}

function isShape(value: unknown): value is Shape {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
