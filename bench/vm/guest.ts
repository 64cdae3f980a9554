/** What the guest of `make bench-vm` does: one path, named as its argument, measured; or the BPF object loaded. Answers with one line of JSON. */
import { flows, frame, type Protocol } from './frames.ts';
import { Generator } from './generator.ts';
import { load } from './load.ts';
import { type Path, paths, port } from './paths.ts';
import { build, client, front, link } from './place.ts';
import { sh } from './shell.ts';
import { Sink } from './sink.ts';

/** Enough for timer interrupts to even out. */
const frames = 16_000;

try {
  const [work = ''] = process.argv.slice(2);
  const path = paths[work];
  answer(path === undefined ? { loaded: load(`/project/${work}`) } : await measure(path));
} catch (error) {
  answer({ error: error instanceof Error ? error.message : String(error) });
}

/** @returns instructions a frame of each protocol, with generator and sink */
async function measure({ to, arrivesAt, hook, setup }: Path): Promise<Readonly<Record<Protocol, number>>> {
  build();
  sh(setup);
  const [from, director] = [link('eth0', 'client'), link(front)];
  const [sink, end] =
    arrivesAt === undefined
      ? [new Sink(hook, front), director]
      : [new Sink(hook, 'eth0', 'server'), link('eth0', 'server')];
  const generator = new Generator(from.ifindex);
  const addressed = { sourceMac: from.address, mac: director.address, source: client, address: to, port };

  const flood = async (protocol: Protocol): Promise<number> => {
    sink.check({ mac: end.address, address: arrivesAt ?? to, port, protocol });
    const before = sink.arrived();
    await generator.send(frame(protocol, true, addressed), flows);
    await generator.send(frame(protocol, false, addressed), flows);
    const { right, wrong } = sink.arrived();
    if (right - before.right !== 2 * flows || wrong > before.wrong)
      throw new Error(
        `of ${2 * flows} ${protocol} frames ${right - before.right} arrived as they should, ${wrong - before.wrong} otherwise\n${state()}`,
      );
    sink.drop();
    const instructions = await generator.send(frame(protocol, false, addressed), frames);
    const arrived = sink.arrived().dropped - before.dropped;
    if (arrived !== frames) throw new Error(`of ${frames} ${protocol} frames ${arrived} arrived\n${state()}`);
    return instructions;
  };
  try {
    return { udp: await flood('udp'), tcp: await flood('tcp') };
  } finally {
    generator.close();
  }
}

function state(): string {
  return sh('ip -s link; ip neigh; cat /proc/net/softnet_stat; dmesg | tail -n 5');
}

function answer(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
