/** A director with one virtual service and one real server, its programs loaded into the kernel, in the place of the packet stories. */
import { fileURLToPath } from 'node:url';
import { Host } from '../../src/engines/ebpf/host.ts';
import { Server } from '../../src/engines/ebpf/layout.ts';
import type { LoadedDirector } from '../../src/engines/ebpf/program.ts';
import { loadDirector } from '../../src/engines/ebpf/program.ts';
import { EbpfTable } from '../../src/engines/ebpf/table.ts';
import { defaultVsSettings } from '../../src/engines/vs-settings.ts';
import type { Netlink } from '../../src/platform/netlink.ts';
import type { EbpfPlace } from '../../test/support/ebpf-place.ts';
import { StoryDirector } from '../../test/support/story-director.ts';
import type { Harness, Hook, Plan, Step } from './harness.ts';
import { frame, tcpFlags } from './packets.ts';

/** What `make build` compiled, seen from dist/tools/bench/test-run. */
const object = fileURLToPath(new URL('../../../engines/ebpf/directord.bpf.o', import.meta.url));

const client = { address: '10.64.0.0', port: 1024 };
const service = { address: '10.1.0.100', port: 80 };
const server = { address: '10.2.0.11', port: 8080 };

export type Method = 'masq' | 'gate';

/** By which packets come; `new`: each is a client's first one. */
export type Kind = 'tcp' | 'udp' | 'reply' | 'new';

export interface SubjectOptions {
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
  readonly #steps: Readonly<Record<Kind | 'open' | 'openUdp', readonly Step[]>>;
  /** Clients that were new. */
  #opened = 0;

  private constructor(options: SubjectOptions) {
    this.#options = options;
    const { connections, halfOpen, place, netlink } = options;
    const sizes = {
      services: 16,
      destinations: 16,
      connections: { 4: connections, 6: 16 },
      halfOpen: { 4: halfOpen, 6: 16 },
      templates: { 4: 16, 6: 16 },
    };
    this.#director = loadDirector({ sizes, object });
    new Host({
      netlink,
      ownAddresses: this.#director.map('own_addresses'),
      interfaces: this.#director.map('interfaces'),
      cards: new DataView(this.#director.view('cards'), 0, 256 * 16),
      servers: new DataView(this.#director.view('servers'), 0, sizes.destinations * Server.bytes),
    }).refresh(netlink.links(), new Set([place.interfaceIndex('client'), place.interfaceIndex('server')]));
    const mac =
      netlink.links().find(({ index }) => index === place.interfaceIndex('client'))?.mac ?? new Uint8Array(6);
    const step = (isReply: boolean, flags?: number): Step => {
      const [from, to] = isReply ? [server, client] : [client, service];
      return { isReply, frame: frame(mac, { from, to, ...(flags !== undefined && { flags }) }) };
    };
    const begin = [step(false, tcpFlags.syn)];
    const answered = options.method === 'masq' ? [step(true, tcpFlags.synAck)] : [];
    const answeredUdp = options.method === 'masq' ? [step(true)] : [];
    this.#steps = {
      tcp: [step(false, tcpFlags.ack)],
      udp: [step(false)],
      reply: [step(true, tcpFlags.ack)],
      new: begin,
      open: [...begin, ...answered, step(false, tcpFlags.ack)],
      openUdp: [step(false), ...answeredUdp, step(false)],
    };
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

  /** Establishes connections of so many clients, as their packets do. */
  open(clients: number, protocol: 'tcp' | 'udp' = 'tcp'): void {
    const steps = this.#steps[protocol === 'tcp' ? 'open' : 'openUdp'];
    this.#run('tc', { steps, clients: 2 ** 24, random: false }, clients * steps.length);
    this.#opened = Math.max(this.#opened, clients);
  }

  /**
   * @param clients any of so many, of which connections are open
   * @returns nanoseconds a packet, with the harness
   */
  measure(hook: Hook, kind: Kind, clients: number, packets: number): number {
    // routes are asked for by tc, once in a while
    this.#run('tc', { steps: this.#steps[kind === 'new' ? 'tcp' : kind], clients: 1, random: true }, 1);
    const before = this.#forwarded();
    const plan = {
      steps: this.#steps[kind],
      clients: kind === 'new' ? 2 ** 24 : clients,
      random: kind !== 'new',
      from: this.#opened,
    };
    const nanoseconds = this.#run(hook, plan, packets);
    if (kind === 'new') this.#opened += packets;
    const forwarded = this.#forwarded() - before;
    if (forwarded < packets * 0.999)
      throw new LostPackets(`${hook} ${kind}: of ${packets} packets ${forwarded} were forwarded`);
    return nanoseconds;
  }

  /** The same plan for a program that does nothing. */
  plan(kind: Kind, clients: number): Plan {
    return { steps: this.#steps[kind], clients: kind === 'new' ? 2 ** 24 : clients, random: kind !== 'new' };
  }

  close(): void {
    this.#director.close();
  }

  #run(hook: Hook, plan: Plan, packets: number): number {
    return this.#options.harness.run(hook, this.#director.program(`${hook}_director`), plan, packets);
  }

  /** Packets that were counted, of both directions. */
  #forwarded(): number {
    const sums = this.#director.map('traffic').sumPerCpu();
    let total = 0;
    for (let at = 0; at < sums.length; at += 5) total += (sums[at + 1] ?? 0) + (sums[at + 2] ?? 0);
    return total;
  }
}

/** The second ended while they were on their way, so XDP left some to tc: to be measured again. */
export class LostPackets extends Error {}
