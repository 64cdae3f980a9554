/**
 * The packet engine's forwarding process: captures on every Ethernet interface, drives the {@link PacketTable}, keeps the kernel's
 * stack off the virtual services, and answers the daemon. Under load the event loop stands still for as long as frames come, so
 * whatever must not wait is also done between frames.
 */
import { randomInt } from 'node:crypto';
import { isRouter } from '../../platform/forwarding.ts';
import type { Mailbox } from '../../platform/mailbox.ts';
import { openMailbox } from '../../platform/mailbox.ts';
import type { Link } from '../../platform/netlink.ts';
import { Netlink } from '../../platform/netlink.ts';
import { guardedMark } from '../../platform/guard-state.ts';
import type { PacketFilterClient } from '../../platform/packet-filter-client.ts';
import { openPacketFilter } from '../../platform/packet-filter-client.ts';
import { OffloadRecord } from '../../platform/offload-record.ts';
import type { RawSender } from '../../platform/raw-sender.ts';
import { openRawSender } from '../../platform/raw-sender.ts';
import type { PoolSize } from '../../scheduling/pool.ts';
import type { IpPacket } from '../../wire/ip-packet.ts';
import { wordsAddress } from '../address-words.ts';
import type { FromForwarder, Request, ToForwarder } from '../child-protocol.ts';
import { Claiming } from './claiming.ts';
import { FrameEgress } from './hops/frame-egress.ts';
import { captureLinks, ownAddresses } from '../interfaces.ts';
import { Interfaces } from './capture/captured-interfaces.ts';
import { NextHops } from './hops/next-hops.ts';
import { PacketTable } from './packet-table.ts';
import { dropReasons, Verdict } from './forwarding/verdict.ts';
import { Unanswered } from '../unanswered.ts';
import { readVsSettings } from '../vs-settings.ts';

const size: PoolSize = { services: 16384, destinations: 65536 };
const mostConnections = 2 ** 22;
const mostHalfOpen = 2 ** 17;
/** Milliseconds between looks at the clockwork while frames come without a pause. */
const beat = 5;
const second = 1000;
/** Milliseconds over which complaints are gathered into one log line. */
const window = 5000;

/** Segments of programs on this host are cut to what any network takes: `lo` itself has no limit that matters. */
const ordinaryMtu = 1500;

const ethernetHeader = 14;
const ethertypeArp = 0x0806;
const ethertypeIpv6 = 0x86dd;
const icmpv6 = 58;
const neighbourSolicitation = 135;
const neighbourAdvertisement = 136;

class PacketProcess {
  readonly #mailbox: Mailbox<FromForwarder>;
  readonly #netlink = new Netlink();
  readonly #links = new Netlink();
  readonly #hops: NextHops;
  readonly #interfaces: Interfaces;
  readonly #egress: FrameEgress;
  readonly #table: PacketTable;
  readonly #unanswered = new Unanswered();
  readonly #words = new Int32Array(4);
  /** Whether this host forwards packets that are none of the engine's business. */
  #routes = { 4: isRouter(4), 6: isRouter(6) };
  /** Name of the interface that the present packet came in on. */
  #link = '';
  readonly #raw = new Map<4 | 6, RawSender>();
  readonly #reported = new Float64Array(dropReasons.length);
  #filter: PacketFilterClient | undefined;
  readonly #claiming: Claiming;
  #now = performance.now();
  #beat = this.#now;
  #clock: NodeJS.Timeout | undefined;
  #second = this.#now;
  #window = this.#now;

  constructor(mailbox: Mailbox<FromForwarder>) {
    this.#mailbox = mailbox;
    const problem = (message: string): void => {
      this.#mailbox.send({ type: 'problem', message });
    };
    const info = (message: string): void => {
      this.#mailbox.send({ type: 'info', message });
    };
    const now = (): number => performance.now();
    this.#netlink.subscribe();
    this.#links.subscribe();
    this.#hops = new NextHops({
      netlink: this.#netlink,
      problem,
      now,
      send: (link, frame, length) => {
        this.#egress.sendFrame(link, frame, length);
      },
    });
    const offloads = new OffloadRecord(process.env['DIRECTORD_OFFLOADS'] ?? '/run/directord.offloads');
    this.#interfaces = new Interfaces({ netlink: this.#links, offloads, problem, info, frame: this.#frame });

    this.#claiming = new Claiming({ interfaces: this.#interfaces, problem });

    let egress: FrameEgress | undefined;
    this.#table = new PacketTable({
      size,
      settings: readVsSettings(process.env['DIRECTORD_SYSCTLS'] ?? ''),
      limit: mostConnections,
      capacity: 2 ** 20,
      halfOpen: mostHalfOpen,
      seed: randomInt(2 ** 32 - 1),
      now: this.#now,
      egress: (destinations) =>
        (egress = new FrameEgress({
          hops: this.#hops,
          destinations,

          problem,
          now,
          capture: (link) => this.#interfaces.capture(link),
          raw: (family) => this.#rawSender(family),
        })),
      mark: (packet) => (this.#isLocal(packet) ? this.#claiming.marks.of(packet, this.#link) : 0),
      unanswered: (destination, client) => {
        this.#noteUnanswered(destination, client);
      },
      problem,
      serverChanged: (destination) => egress?.forget(destination),
    });
    if (egress === undefined) throw new Error('the table made no egress');
    this.#egress = egress;
  }

  async start(): Promise<void> {
    const filter = await openPacketFilter({
      name: process.env['DIRECTORD_GUARD'] ?? 'directord',
      interfaces: captureLinks(this.#links.links()),
    });
    this.#filter = filter;
    // iptables sees packets of this host's programs too late
    this.#interfaces.loopback = filter.means === 'nft';
    this.#refreshInterfaces();
    this.#claiming.guardBy(filter);
    this.#clock = setInterval(this.#turn, 100);
    this.#mailbox.send({ type: 'info', message: this.#description() });
    this.#mailbox.send({ type: 'ready' });
  }

  #description(): string {
    const { means } = this.#claiming;
    return `the packet engine captures on ${this.#interfaces.names().join(', ')}; ${means} keeps the kernel off the virtual services`;
  }

  // ---- packets

  readonly #frame = (link: Link, frame: Buffer, length: number): void => {
    const now = performance.now();
    this.#now = now;
    this.#link = link.name;
    const ethertype = ((frame[12] as number) << 8) | (frame[13] as number);
    if (ethertype === ethertypeArp) this.#hops.arp(link.index, frame, length);
    else if (ethertype === ethertypeIpv6 && isNeighbourDiscovery(frame, length)) {
      this.#hops.neighbourDiscovery(link.index, frame, length);
    } else {
      const verdict = this.#table.forwarder.forward(
        frame,
        ethernetHeader,
        length - ethernetHeader,
        now,
        link.loopback ? ordinaryMtu : link.mtu,
        link.loopback,
      );
      if (verdict === Verdict.pass) this.#pass();
      else if (verdict === Verdict.drop && isCut(frame, length, link)) this.#interfaces.enlarge(link.index);
    }
    if (now - this.#beat >= beat) this.#turn();
  };

  /**
   * What the forwarder leaves to the kernel, the kernel has already done with its own copy of the packet, unless the guard stopped it.
   * Then it is given to the local stack, or routed on, from here.
   */
  #pass(): void {
    const { forwarder } = this.#table;
    const { packet } = forwarder;
    const { claims } = this.#claiming;
    const stopped = claims.hasVirtual(packet) || this.#isMarked(packet) || claims.stopsReplyToVirtual(packet);
    if (stopped) this.#egress.local(packet.bytes, packet.at, packet.length);
    else if (this.#routes[packet.family] && claims.stopsReply(packet) && !forwarder.isForThisHost())
      forwarder.routeOn();
  }

  #isMarked(packet: IpPacket): boolean {
    const { family } = packet;
    const { claims, marks } = this.#claiming;
    return claims.marked && claims.hasMark(family, marks.of(packet, this.#link)) && this.#isLocal(packet);
  }

  /** Whether the kernel would deliver it to this host: IPVS looks at no others. */
  #isLocal(packet: IpPacket): boolean {
    packet.copyDestination(this.#words);
    if (this.#egress.isOwn(this.#words, packet.family)) return true;
    return this.#hops.kind(this.#egress.hopTo(this.#words, packet.family)) === 'local';
  }

  #noteUnanswered(destination: number, client: Int32Array): void {
    const { packet } = this.#table.forwarder;
    const hop = this.#egress.serverHop(destination);
    const neighbours = this.#hops.onLinkWith(hop, this.#egress.hopTo(client, packet.family));
    const bypass = this.#hops.kind(hop) === 'local' ? 'itself' : neighbours ? 'neighbours' : 'unknown';
    this.#unanswered.note(destination, () => wordsAddress(client, packet.family), bypass);
  }

  #rawSender(family: 4 | 6): RawSender {
    const known = this.#raw.get(family);
    if (known !== undefined) return known;
    const sender = openRawSender(family, guardedMark);
    this.#raw.set(family, sender);
    return sender;
  }

  // ---- time

  /** Everything that is due, whether the event loop turns or not. */
  readonly #turn = (): void => {
    const now = performance.now();
    this.#now = this.#beat = now;
    this.#mailbox.poll();
    this.#filter?.poll();
    this.#hops.advance(now);
    if (now - this.#second >= second) this.#everySecond(now);
    if (now - this.#window >= window) this.#tellWindow(now);
  };

  #everySecond(now: number): void {
    this.#second = now;
    this.#routes = { 4: isRouter(4), 6: isRouter(6) };
    this.#table.advance(now);
    this.#interfaces.countLosses();
    if (this.#links.changed()) this.#refreshInterfaces();
    if (this.#table.forgetRemains()) this.#claim();
  }

  #tellWindow(now: number): void {
    this.#window = now;
    this.#claiming.check();
    const lines = this.#unanswered.lines((destination) => this.#table.nameOf(destination));
    lines.push(...this.#interfaces.losses(), ...this.#newDrops());
    for (const message of lines) this.#mailbox.send({ type: 'problem', message });
  }

  /** Of drops only those are told that an operator can do something about. */
  #newDrops(): string[] {
    const { counts } = this.#table.drops;
    return dropReasons.flatMap((reason, at) => {
      const count = (counts[at] as number) - (this.#reported[at] as number);
      this.#reported[at] = counts[at] as number;
      return count > 0 && told.has(reason) ? [`${count} packets dropped: ${reason}`] : [];
    });
  }

  #refreshInterfaces(): void {
    this.#interfaces.refresh();
    const own = ownAddresses(this.#links.addresses());
    this.#egress.setOwn(own);
    this.#claiming.hostChanged(own);
  }

  #claim(): void {
    if (this.#links.changed()) this.#refreshInterfaces();
    this.#claiming.tableChanged(this.#table.claimants);
  }

  // ---- the daemon

  take(message: ToForwarder): void {
    if (message.type === 'verbs') {
      this.#table.apply(message.verbs);
      this.#claim();
    } else this.#answer(message.id, message.request, message.from);
  }

  #answer(id: number, request: Request, from = 0): void {
    switch (request) {
      case 'report':
        this.#mailbox.send({ type: 'report', id, report: this.#table.report() });
        break;
      case 'connections':
        this.#mailbox.send({ type: 'connections', id, ...this.#table.part(this.#now, from) });
        break;
      case 'settle':
        void this.#claiming.settled().then(() => {
          this.#mailbox.send({ type: 'settled', id });
        });
        break;
      case 'stop':
        void this.#stop(id);
        break;
    }
  }

  async #stop(id: number): Promise<void> {
    const closed = this.#table.established();
    clearInterval(this.#clock);
    await this.#claiming.remove();
    this.#interfaces.close();
    this.#mailbox.send({ type: 'stopped', id, closed });
    await this.#mailbox.close();
    process.exit();
  }

  /** Nobody is left to restart us or to tell us of changes: the host is as it was before. */
  daemonGone(): void {
    try {
      this.#claiming.removeSync();
    } finally {
      this.#interfaces.close();
      process.exit(1);
    }
  }
}

const told: ReadonlySet<string> = new Set([
  'connection table full',
  'no route',
  'too large',
  'to a loopback address',
]);

/** The ring had no room for all of the frame. */
function isCut(frame: Buffer, length: number, { mtu }: Link): boolean {
  // a short one that says that it is longer lies
  if (length - ethernetHeader < mtu) return false;
  const isIpv4 = frame[ethernetHeader] !== undefined && frame[ethernetHeader] >> 4 === 4;
  const wanted = isIpv4
    ? frame.readUInt16BE(ethernetHeader + 2)
    : frame.readUInt16BE(ethernetHeader + 4) + 40;
  return length - ethernetHeader < wanted;
}

function isNeighbourDiscovery(frame: Buffer, length: number): boolean {
  if (length < ethernetHeader + 41 || frame[ethernetHeader + 6] !== icmpv6) return false;
  const type = frame[ethernetHeader + 40];
  return type === neighbourSolicitation || type === neighbourAdvertisement;
}

// A terminal's Ctrl-C and a service manager's TERM reach the whole group; the daemon decides when forwarding ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
const mailbox = openMailbox<FromForwarder>(
  (message) => forwarder?.take(message as ToForwarder),
  () => forwarder?.daemonGone(),
);
let forwarder: PacketProcess | undefined;
try {
  forwarder = new PacketProcess(mailbox);
  await forwarder.start();
} catch (error) {
  mailbox.send({ type: 'unable', message: (error as Error).message });
  await mailbox.close();
  process.exit(1);
}
