/** Daemons that come one after the other, with the same programs and with others. Needs root and clang. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, copyFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Verb } from '../../../src/director/verbs.ts';
import { createEbpf } from '../../../src/engines/ebpf/ebpf.ts';
import { loadPinned } from '../../../src/engines/ebpf/load-pinned.ts';
import { Pins } from '../../../src/engines/ebpf/pins.ts';
import { removeEbpf } from '../../../src/engines/ebpf/remove.ts';
import type { AdoptedTable, Engine } from '../../../src/engines/engine.ts';
import { openPinned, tcOn } from '../../../src/platform/bpf/bpf-link.ts';
import { BpfMap } from '../../../src/platform/bpf/bpf-map.ts';
import { BpfProgram, programById } from '../../../src/platform/bpf/bpf-program.ts';
import { Netlink } from '../../../src/platform/netlink.ts';
import { ownBpffs, skip } from '../../platform/bpf/lab.ts';
import { enterOwnNetwork, ip, wire } from '../../platform/own-network.ts';
import { roundRobin, tcp80 } from '../../support/table.ts';
import { waitFor } from '../../support/until.ts';

const compiled = process.env['DIRECTORD_BPF_OBJECT'];
const object = compiled ?? join(t.testdir(), 'directord.bpf.o');
const upgraded = join(t.testdir(), 'upgraded.bpf.o');

const service: Verb = { verb: 'add-service', service: tcp80, settings: roundRobin };

void t.test('programs that outlive their daemons', { skip }, async (t) => {
  if (compiled === undefined)
    execFileSync(fileURLToPath(new URL('../../../packaging/compile-bpf', import.meta.url)), [object]);
  copyFileSync(object, upgraded);
  appendFileSync(upgraded, 'upgraded');
  enterOwnNetwork();
  wire('front', 'client');
  wire('idle', 'away');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  process.env['DIRECTORD_BPFFS'] = ownBpffs();
  const pins = new Pins('default');
  const netlink = new Netlink();
  const index = (name: string): number => netlink.links().find((link) => link.name === name)?.index ?? 0;
  const idle = index('idle');
  t.teardown(() => {
    netlink.close();
  });
  const problems: string[] = [];
  const events = { info: () => undefined, problem: (message: string) => void problems.push(message) };
  const start = async (path = object): Promise<{ engine: Engine; found: AdoptedTable | undefined }> => {
    const options = {
      instance: 'default',
      attach: 'auto',
      connections: 4096,
      sysctls: [],
      object: path,
    } as const;
    const engine = createEbpf(events, options);
    return { engine, found: await engine.start() };
  };
  /** A whole life. */
  const live = async (path?: string): Promise<AdoptedTable | undefined> => {
    const { engine, found } = await start(path);
    await engine.stop();
    return found;
  };
  const front = (): number => tcOn(index('front'), 'ingress')[0]?.programId ?? 0;
  /** Programs that tc_director calls. */
  const steps = ([folder = ''] = pins.loads()): number[] => {
    const map = BpfMap.openPinned(join(folder, 'steps'));
    const ids = [...map.entries()].map(([, value]) => value.readUInt32LE());
    map.close();
    return ids;
  };
  const sweep = (): number => {
    const program = BpfProgram.openPinned(pins.program('sweep_start'));
    program.close();
    return program.id;
  };

  const { engine } = await start();
  engine.apply(service);
  await engine.stop();
  const before = { front: front(), sweep: sweep(), steps: steps() };
  t.equal(before.steps.length, 6, 'without a daemon, every step is there');
  t.ok(programById(before.front));

  const began = performance.now();
  const found = await live();
  t.comment(`taken after ${(performance.now() - began).toFixed()} ms`);
  t.equal(found?.services.length, 1);
  t.same(
    { front: front(), sweep: sweep(), steps: steps() },
    before,
    'the next daemon takes the same programs',
  );
  t.equal(pins.loads().length, 1);

  await t.test('other programs take the place of these', async (t) => {
    ip('link set idle down');
    const own = pins.loads();
    const dying = loadPinned(pins, { connections: 4096, object: upgraded }, events);
    dying.close();
    t.equal(pins.loads().length, 2, 'a daemon that was killed before it put its programs on');
    t.same([front(), steps(own)], [before.front, before.steps], 'leaves what forwards as it is');
    t.same((await live(upgraded))?.services.length, 1, 'over the same table');
    t.not(front(), before.front);
    t.equal(openPinned(pins.attachment('tcx', idle))?.programId, front(), 'where the interface is down too');
    t.equal(pins.loads().length, 1);
    t.equal(steps().filter((id) => before.steps.includes(id)).length, 0);
    const former = [before.front, before.sweep, ...before.steps];
    await waitFor('the former programs to be gone', 5, () =>
      former.every((id) => programById(id) === undefined),
    );
  });

  await t.test('what is damaged is loaded anew', async (t) => {
    for (const path of [pins.program('steps'), pins.map('sum_scratches')]) {
      const id = front();
      unlinkSync(path);
      t.equal((await live(upgraded))?.services.length, 1, path);
      t.not(front(), id);
      t.equal(pins.loads().length, 1);
      t.equal(steps().length, 6);
    }
  });

  removeEbpf('default', events);
  t.notOk(pins.exist);
  t.same(problems, []);
});
