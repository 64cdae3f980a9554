/** What the guest of `make bench-vm` does: one path, named as its argument, measured; or the BPF object loaded. Answers with one line of JSON. */
import { aim, flows, send } from './generator.ts';
import { load } from './load.ts';
import { type Path, paths, port } from './paths.ts';
import { back, build, client, front, mac } from './place.ts';
import { shIn, sh } from './shell.ts';
import { Sink } from './sink.ts';

/** Enough for timer interrupts to even out. */
const frames = 40_000;
const object = new URL('sink.bpf.o', import.meta.url).pathname;

try {
  const [work = ''] = process.argv.slice(2);
  const path = paths[work];
  answer(path === undefined ? { loaded: load(work) } : { instructions: measure(path) });
} catch (error) {
  answer({ error: error instanceof Error ? error.message : String(error) });
}

/** @returns instructions a frame, with generator and sink */
function measure({ to, arrivesAt, hook, setup }: Path): number {
  build();
  sh(setup);
  aim(client, { mac: mac(front), address: to, port });
  const sink = arrivesAt === undefined ? new Sink(object, hook, front) : new Sink(object, hook, 'eth0', 'server');
  const arrivesWith = arrivesAt === undefined ? mac(front) : mac('eth0', 'server');

  // The sink needs whole checksums to check them. What is measured has what pairs of veth have: they are left for a network card to do.
  sink.check({ mac: arrivesWith, address: arrivesAt ?? to, port });
  shIn('client', 'ethtool -K eth0 tx off');
  send(2 * flows);
  const { right, wrong } = sink.arrived();
  if (right !== 2 * flows || wrong > 0) throw new Error(`of ${2 * flows} frames ${right} arrived as they should and ${wrong} otherwise\n${state()}`);

  shIn('client', 'ethtool -K eth0 tx on');
  sink.drop();
  send(flows);
  const before = sink.arrived().dropped;
  const instructions = send(frames);
  const arrived = sink.arrived().dropped - before;
  if (arrived !== frames) throw new Error(`of ${frames} frames ${arrived} arrived\n${state()}`);
  return instructions / frames;
}

function state(): string {
  return sh(`ip -s link; ip neigh; cat /proc/net/softnet_stat; dmesg | tail -n 5; ls /sys/class/net/${back} >/dev/null`);
}

function answer(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
