/** A director with one virtual service and one real server, its programs loaded into the kernel, in the place of the packet stories. */
import { Host } from '../../src/engines/ebpf/host.ts';
import { tellTime } from '../../src/engines/ebpf/clock.ts';
import { Traffic } from '../../src/engines/ebpf/layout.ts';
import type { LoadedDirector } from '../../src/engines/ebpf/program.ts';
import { loadDirector } from '../../src/engines/ebpf/program.ts';
import { EbpfTable } from '../../src/engines/ebpf/table.ts';
import { defaultVsSettings } from '../../src/engines/vs-settings.ts';
import type { TestRunResult } from '../../src/platform/bpf/bpf-program.ts';
import type { Netlink } from '../../src/platform/netlink.ts';
import type { EbpfPlace } from '../../test/support/ebpf-place.ts';
import { StoryDirector } from '../../test/support/story-director.ts';
import type { Side } from '../../test/support/story.ts';
import type { Harness, Hook, Plan, Step } from './harness.ts';
import { ethernetBytes, frame, type Packet, tcpFlags } from './packets.ts';

const client = { address: '10.64.0.0', port: 1024 };
const service = { address: '10.1.0.100', port: 80 };
const server = { address: '10.2.0.11', port: 8080 };
/** Verdicts of both hooks: XDP_REDIRECT, TC_ACT_REDIRECT. */
const redirected = { xdp: 4, tc: 7 } as const;
const allClients = 2 ** 24;

/** Connections that are opened before the clock is turned back. */
const openedAtOnce = 2048;

export type Method = 'masq' | 'gate';

/** By which packets come; `new`: each is a client's first one. */
export type Kind = 'tcp' | 'udp' | 'reply' | 'new';

export interface SubjectOptions {
  /** The programs. */
  readonly object: string;
  readonly method: Method;
  /** Room for established connections, and for those that are being opened. */
  readonly connections: number;
  readonly halfOpen: number;
  readonly place: EbpfPlace;
  readonly netlink: Netlink;
  readonly harness: Harness;
}

export class Subject {
  readonly #options: SubjectOptions;
  readonly #director: LoadedDirector;
  readonly #links: Readonly<Record<Side, Uint8Array>>;
  readonly #settings: DataView;
  /** Clients that were new. */
  #opened = 0;
  #turn = 0;

  private constructor(options: SubjectOptions) {
    this.#options = options;
    const { connections, halfOpen, place, netlink, object } = options;
    const sizes = {
      services: 16,
      destinations: 16,
      connections: { 4: connections, 6: 16 },
      halfOpen: { 4: halfOpen, 6: 16 },
      templates: { 4: 16, 6: 16 },
    };
    this.#director = loadDirector({ sizes, object });
    this.#settings = new DataView(this.#director.view('settings'));
    const interfaces = new Set([place.interfaceIndex('client'), place.interfaceIndex('server')]);
    new Host({ director: this.#director, netlink }).refresh(netlink.links(), interfaces);
    const link = (side: Side): Uint8Array =>
      netlink.links().find(({ index }) => index === place.interfaceIndex(side))?.mac ?? new Uint8Array(6);
    this.#links = { client: link('client'), server: link('server') };
  }

  static async create(options: SubjectOptions): Promise<Subject> {
    const subject = new Subject(options);
    const director = subject.#director;
    const table = new EbpfTable({
      director,
      size: director.sizes,
      settings: defaultVsSettings,
      problem: (message) => {
        throw new Error(message);
      },
    });
    const commands = new StoryDirector((verb) => {
      table.apply([verb]);
    });
    const port = options.method === 'masq' ? server.port : service.port;
    for (const protocol of ['-t', '-u']) {
      const virtual = `${service.address}:${service.port}`;
      await commands.ipvsadm(['-A', protocol, virtual, '-s', 'rr']);
      const method = options.method === 'masq' ? '-m' : '-g';
      await commands.ipvsadm(['-a', protocol, virtual, '-r', `${server.address}:${port}`, method]);
    }
    return subject;
  }

  get halfOpen(): number {
    return this.#options.halfOpen;
  }

  /** Establishes connections of so many clients, as their packets do. */
  open(clients: number, protocol: 'tcp' | 'udp' = 'tcp'): void {
    const flags = protocol === 'tcp' ? tcpFlags : { syn: undefined, ack: undefined, synAck: undefined };
    const opening = [toService(flags.syn), toClient(flags.synAck), toService(flags.ack), toClient(flags.ack)];
    const seen = opening.filter(({ isReply }) => !isReply || this.#options.method === 'masq');
    const steps = seen.map((packet) => this.#step(packet));
    const plan = { steps, clients: allClients, random: false, interfaceIndex: this.#interface('client') };
    for (let from = 0; from < clients; from += openedAtOnce) {
      this.#setClock();
      this.#run('tc', { ...plan, from }, Math.min(openedAtOnce, clients - from) * steps.length);
    }
    this.#opened = Math.max(this.#opened, clients);
  }

  /** That one packet, of each of two clients, leaves as it should. @param clients of so many connections are open */
  check(hook: Hook, kind: Kind, clients: number): void {
    this.#setClock();
    this.#askRoute(kind);
    for (const number of kind === 'new' ? [this.#opened++, this.#opened++] : [0, clients - 1]) {
      const packet = packetOf(kind);
      const plan = { ...this.plan(kind, clients), clients: allClients, random: false, from: number };
      const { returnValue, data } = this.#run(hook, plan, 1);
      const placed = this.#options.place.placed(data, packet.isReply ? 'client' : 'server');
      const sent = frame(new Uint8Array(6), this.#translated(packet), number, 63).subarray(ethernetBytes);
      const receiver = packet.isReply ? 'gateway' : 'rs1';
      if (returnValue !== redirected[hook] || placed.to !== receiver || !sent.equals(placed.packet))
        throw new Error(
          `${hook} ${kind}, client ${number}: verdict ${returnValue}, to ${placed.to}\n` +
            `${Buffer.from(placed.packet).toString('hex')} instead of\n${sent.toString('hex')}`,
        );
    }
  }

  /**
   * @param clients any of so many, of which connections are open
   * @returns nanoseconds a packet, with the harness
   */
  measure(hook: Hook, kind: Kind, clients: number, packets: number): number {
    this.#setClock();
    this.#askRoute(kind);
    const before = this.#forwarded();
    const { nanoseconds } = this.#run(hook, { ...this.plan(kind, clients), from: this.#opened }, packets);
    if (kind === 'new') this.#opened += packets;
    const forwarded = this.#forwarded() - before;
    if (forwarded !== packets)
      throw new Error(`${hook} ${kind}: of ${packets} packets ${forwarded} were forwarded`);
    return nanoseconds;
  }

  /** What {@link measure} does, for another program. */
  plan(kind: Kind, clients: number): Plan {
    const packet = packetOf(kind);
    const isNew = kind === 'new';
    return {
      steps: [this.#step(packet)],
      clients: isNew ? allClients : clients,
      random: !isNew,
      interfaceIndex: this.#interface(packet.isReply ? 'server' : 'client'),
    };
  }

  /** There is room again for as many as can be half-open. */
  forgetHalfOpen(): void {
    new Uint8Array(this.#director.view('halves4')).fill(0);
  }

  close(): void {
    this.#director.close();
  }

  #run(hook: Hook, plan: Plan, packets: number): TestRunResult {
    const { harness } = this.#options;
    return harness.run(hook, this.#director.program(`${hook}_director`), plan, packets);
  }

  #step(packet: Packet): Step {
    return {
      isReply: packet.isReply,
      frame: frame(this.#links[packet.isReply ? 'server' : 'client'], packet),
    };
  }

  #interface(side: Side): number {
    return this.#options.place.interfaceIndex(side);
  }

  /** As it leaves the director. */
  #translated(packet: Packet): Packet {
    if (this.#options.method === 'gate') return packet;
    return packet.isReply ? { ...packet, from: service } : { ...packet, to: server };
  }

  /** The way to the server is asked for by tc, once a second. */
  #askRoute(kind: Kind): void {
    this.#run('tc', { ...this.plan(kind === 'udp' ? 'udp' : 'tcp', 1), random: false }, 1);
  }

  /**
   * The director's clock is always within the same four seconds, in which nobody asks again for the way to clients: how often that happens is up
   * to the traffic. Each time it is in another eighth of a second than in the last 27 turns, so that a flow's last packet was some time ago; and
   * far from the end of a second, after which the way to servers is asked for again.
   */
  #setClock(): void {
    const turn = this.#turn++ % 28;
    const ticks = 4096 * 1000 + 1024 * (turn % 4) + 64 + 130 * Math.floor(turn / 4);
    tellTime(this.#settings, ticks);
  }

  /** Packets that were counted, of both directions. */
  #forwarded(): number {
    const sums = this.#director.map('traffic').sumPerCpu();
    const numbers = Traffic.bytes / 8;
    let total = 0;
    for (let at = 0; at < sums.length; at += numbers) total += (sums[at + 1] ?? 0) + (sums[at + 2] ?? 0);
    return total;
  }
}

function toService(flags: number | undefined): Packet {
  return { from: client, to: service, isReply: false, flags };
}

function toClient(flags: number | undefined): Packet {
  return { from: server, to: client, isReply: true, flags };
}

function packetOf(kind: Kind): Packet {
  if (kind === 'reply') return toClient(tcpFlags.ack);
  return toService({ tcp: tcpFlags.ack, udp: undefined, new: tcpFlags.syn }[kind]);
}
