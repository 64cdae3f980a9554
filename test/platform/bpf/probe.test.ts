/** What people are told about BPF on this host. */
import { join } from 'node:path';
import t from 'tap';
import { isBpffs, makePinDirectory, pinPath } from '../../../src/platform/bpf/bpffs.ts';
import { probeBpf, probeSupport } from '../../../src/platform/bpf/probe.ts';
import { hasTcx } from '../../../src/platform/bpf/tcx.ts';
import { ownBpffs, skip } from './lab.ts';

t.test('where everything is there', { skip }, (t) => {
  const { libbpf, load, jit, tcx } = probeSupport();
  t.match(libbpf, { available: true, detail: /^libbpf \d/ });
  t.match(load, { available: true });
  t.equal(typeof jit.available, 'boolean');
  t.equal(tcx.available, hasTcx());
  t.end();
});

t.test('without the rights', { skip }, (t) => {
  const nobody = 65534;
  process.seteuid?.(nobody);
  const answer = probeBpf();
  process.seteuid?.(0);
  t.match(answer, { available: false, reason: /loaded by root only/ });
  t.match(probeBpf(), { available: true });
  t.end();
});

t.test('a bpffs', { skip }, (t) => {
  t.equal(isBpffs('/proc'), false);
  t.equal(isBpffs('/nowhere'), false);
  const path = ownBpffs();
  t.equal(isBpffs(path), true);
  makePinDirectory(join(path, 'a', 'b'));
  t.equal(isBpffs(join(path, 'a', 'b')), true);
  const names = ['eth0', 'eth0.1', 'eth0%2E1'].map((name) => pinPath(path, name));
  for (const name of names) makePinDirectory(name);
  t.equal(new Set(names).size, 3);
  t.end();
});
