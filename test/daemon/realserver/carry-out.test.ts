import t from 'tap';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apply, remove } from '../../../src/daemon/realserver/carry-out.ts';
import type { Step } from '../../../src/daemon/realserver/step.ts';
import { UndoRecord } from '../../../src/daemon/realserver/undo-record.ts';

/** A host where things are on or off: `test X`, `make X`, `unmake X`, and settings with `get`. */
function host(path: string, state: Set<string>, broken: readonly string[] = []) {
  let [out, err] = ['', ''];
  const ran: string[] = [];
  const shell = (line: string) => {
    const [verb = '', thing = ''] = line.split(' ');
    const result = (good: boolean) => ({
      stdout: 'was',
      stderr: good ? '' : `no ${thing} today\n`,
      failure: good ? undefined : 'exit status 1',
    });
    if (verb === 'test') return result(state.has(thing));
    if (verb === 'get') return result(true);
    ran.push(line);
    if (broken.includes(line)) return result(false);
    if (verb === 'make') state.add(thing);
    else state.delete(thing);
    return result(true);
  };
  const streams = { out: (text: string) => void (out += text), err: (text: string) => void (err += text) };
  return { means: { streams, record: new UndoRecord(path), shell }, ran, said: () => ({ out, err }) };
}

function step(thing: string, before = false): Step {
  return {
    about: thing,
    done: `test ${thing}`,
    command: `make ${thing}`,
    ...(before && { before: `get ${thing}` }),
    undo: (was) => `unmake ${thing}${was === undefined ? '' : ` ${was}`}`,
  };
}

const steps = [step('a', true), step('b'), step('c')];

void t.test('what was there before stays, all else goes, last first', (t) => {
  const path = join(t.testdir(), 'sub/record');
  const state = new Set(['b']);
  const first = host(path, state);
  t.equal(apply(steps, first.means), 0);
  t.same(first.ran, ['make a', 'make c']);
  t.match(first.said().out, '+ make a\nis so already: make b\n+ make c\ndone: 2 of 3 steps');
  t.equal(apply(steps, first.means), 0);
  t.match(first.said().out, /nothing had to be done\n$/);
  const second = host(path, state);
  t.equal(remove(second.means), 0);
  t.same(second.ran, ['unmake c', 'unmake a was']);
  t.same([...state], ['b']);
  t.notOk(existsSync(path));
  t.equal(remove(second.means), 0);
  t.match(second.said().out, /nothing to remove/);
  t.end();
});

void t.test('a failure stops it, and is told with the command; what was done can be taken back', (t) => {
  const path = join(t.testdir(), 'record');
  const state = new Set<string>();
  const broken = host(path, state, ['make b']);
  t.equal(apply(steps, broken.means), 1);
  t.same(broken.ran, ['make a', 'make b'], 'c is not tried, nothing is undone');
  t.match(broken.said().err, 'failed: make b\nno b today\n1 of 3 steps were done and stay');
  const later = host(path, state);
  t.equal(remove(later.means), 0);
  t.same(later.ran, ['unmake a was']);
  t.end();
});

void t.test('what cannot be taken back stays recorded for the next time', (t) => {
  const path = join(t.testdir(), 'record');
  const state = new Set<string>();
  apply(steps, host(path, state).means);
  const broken = host(path, state, ['unmake b']);
  t.equal(remove(broken.means), 1);
  t.same(broken.ran, ['unmake c', 'unmake b', 'unmake a was'], 'the rest goes all the same');
  const later = host(path, state);
  t.equal(remove(later.means), 0);
  t.same([later.ran, [...state]], [['unmake b'], []]);
  t.end();
});

void t.test('a record that somebody wrote into runs nothing', (t) => {
  const path = join(t.testdir(), 'record');
  writeFileSync(path, '{"done":"test a","undo":"unmake a"}\nrm -rf /\n');
  const here = host(path, new Set(['a']));
  t.throws(() => remove(here.means), { message: `${path}: line 2 is not what --apply writes` });
  t.same(here.ran, []);
  t.end();
});
