/** The command `directord simulate`: what the ebpf engine would do with a packet. */
import type { Streams } from '../../cli/directord.ts';
import type { SimulateCommand } from '../../cli/seeing-commands.ts';
import { simulate as ask } from '../../engines/ebpf/simulation.ts';
import type { Link } from '../../platform/netlink.ts';
import { Netlink } from '../../platform/netlink.ts';
import type { User } from '../places.ts';
import { findPins } from './find-pins.ts';
import { answerJson, answerText, isDropped } from './simulation-text.ts';

/** @returns the exit code: 0 when the packet goes to a server or a client, 1 when not */
export function simulate(command: SimulateCommand, streams: Pick<Streams, 'out'>, user: User): number {
  const pins = findPins(command.control, user);
  const { links, link } = entrance(command);
  const { protocol, source, target, flags } = command;
  const answer = ask(pins, {
    protocol,
    source: source.address,
    sourcePort: source.port,
    target: target.address,
    targetPort: target.port,
    flags,
    interfaceIndex: link.index,
    mac: link.mac,
  });
  const question = { command, interface: link.name };
  const nameOf = (index: number): string =>
    links.find((link) => link.index === index)?.name ?? `interface ${index}`;
  streams.out(
    command.json
      ? `${JSON.stringify(answerJson(question, answer, nameOf), null, 2)}\n`
      : answerText(question, answer, nameOf),
  );
  const goes = ['connection', 'reply', 'new', 'one-packet', 'begun'].includes(answer.outcome);
  return goes && !isDropped(answer) && answer.way?.kind !== 'none' ? 0 : 1;
}

/** By which interface the packet comes: the one that is asked for, or the one by which this host would send to its source. */
function entrance({ interface: wanted, source }: SimulateCommand): {
  readonly links: readonly Link[];
  readonly link: Link;
} {
  const netlink = new Netlink();
  try {
    const links = netlink.links();
    const index = wanted === undefined ? netlink.route(source.address)?.interfaceIndex : undefined;
    const link = links.find((link) => (wanted === undefined ? link.index === index : link.name === wanted));
    if (link !== undefined) return { links, link };
    throw new Error(
      wanted === undefined
        ? `there is no route to ${source.address}: name the interface that it comes in by with --interface`
        : `there is no interface ${wanted}`,
    );
  } finally {
    netlink.close();
  }
}
