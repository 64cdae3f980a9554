/** What the guest of `make bench-vm` does: one path, named as its argument, measured; or the BPF object loaded. Answers with one line of JSON. */
import { flows, frame, type Protocol } from './frames.ts';
import { Generator } from './generator.ts';
import { load } from './load.ts';
import { type Path, paths, port, server } from './paths.ts';
import { back, build, client, front, link } from './place.ts';
import { sh } from './shell.ts';
import { Sink } from './sink.ts';

/** Enough for timer interrupts to even out. */
const frames = 16_000;

try {
  const [work = ''] = process.argv.slice(2);
  const path = paths[work];
  tell(path === undefined ? { loaded: load(`/project/${work}`) } : await measure(path));
} catch (error) {
  tell({ error: error instanceof Error ? error.message : String(error) });
}

/** @returns instructions a frame of each protocol, with generator and sink */
async function measure({
  to,
  arrivesAt,
  hook,
  setup,
  answers,
}: Path): Promise<Readonly<Record<Protocol, number>>> {
  build();
  sh(setup);
  const [from, director] = [link('eth0', 'client'), link(front)];
  const [sink, end] =
    arrivesAt === undefined
      ? [new Sink(hook, front), director]
      : [new Sink(hook, 'eth0', 'server'), link('eth0', 'server')];
  const generator = new Generator(from.ifindex);
  const answering = answers && new Generator(end.ifindex, 'server');
  const addressed = { sourceMac: from.address, mac: director.address, source: client, address: to, port };

  /** The server answers; nobody at the client is told. */
  const answer = async (protocol: Protocol): Promise<void> => {
    sink.drop('eth0', 'client');
    const from = { sourceMac: end.address, mac: link(back).address, source: server, address: client, port };
    await answering?.send(frame(protocol, 'answer', from), flows);
  };

  const flood = async (protocol: Protocol): Promise<number> => {
    sink.check({ mac: end.address, address: arrivesAt ?? to, port, protocol });
    const before = sink.arrived();
    await generator.send(frame(protocol, 'opening', addressed), flows);
    if (answers) await answer(protocol);
    await generator.send(frame(protocol, 'data', addressed), flows);
    const { right, wrong, dropped } = sink.arrived();
    if (right - before.right !== 2 * flows || wrong > before.wrong)
      throw new Error(
        `of ${2 * flows} ${protocol} frames ${right - before.right} arrived as they should, ${wrong - before.wrong} otherwise\n${state()}`,
      );
    if (answers && dropped - before.dropped !== flows)
      throw new Error(`of ${flows} answers ${dropped - before.dropped} arrived\n${state()}`);
    sink.drop();
    const instructions = await generator.send(frame(protocol, 'data', addressed), frames);
    const arrived = sink.arrived().dropped - dropped;
    if (arrived !== frames) throw new Error(`of ${frames} ${protocol} frames ${arrived} arrived\n${state()}`);
    return instructions;
  };
  try {
    return { udp: await flood('udp'), tcp: await flood('tcp') };
  } finally {
    generator.close();
    answering?.close();
  }
}

function state(): string {
  return sh('ip -s link; ip neigh; cat /proc/net/softnet_stat; dmesg | tail -n 5');
}

function tell(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
