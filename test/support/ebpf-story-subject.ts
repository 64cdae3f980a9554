/**
 * The stories told to the ebpf engine's programs in the kernel, each packet by BPF_PROG_TEST_RUN in the place of the stories. What
 * xdp_director passes on goes to tc_director, as on a real interface.
 */
import { readVsSettings } from '../../src/engines/vs-settings.ts';
import { tableFills } from '../../src/engines/ebpf/fill.ts';
import { Host } from '../../src/engines/ebpf/host.ts';
import { tellTime } from '../../src/engines/ebpf/clock.ts';
import { MarkPrograms } from '../../src/engines/ebpf/mark-programs.ts';
import type { LoadedDirector } from '../../src/engines/ebpf/program.ts';
import { EbpfTable } from '../../src/engines/ebpf/table.ts';
import { ticksOf } from '../../src/engines/ebpf/ticks.ts';
import type { ConnectionEntry, TableFill } from '../../src/engines/engine.ts';
import { Netlink } from '../../src/platform/netlink.ts';
import { DirectorSupply } from './ebpf-director-supply.ts';
import type { PlacedFrame } from './ebpf-place.ts';
import { EbpfPlace } from './ebpf-place.ts';
import type { ListingOption } from './story-director.ts';
import { StoryDirector } from './story-director.ts';
import type { Forwarded, Subject } from './story-subject.ts';
import { storyMarks } from './story-subject.ts';
import type { Side, Story } from './story.ts';

/** `xdp`: both programs, as on a network card. `tc`: one, as on a veth. */
export type ProgramKind = 'xdp' | 'tc';

/** enum xdp_action */
const Xdp = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4 } as const;
/** TC_ACT_*; the first as a 32-bit number. */
const Tc = { unspecified: 0xffff_ffff, ok: 0, shot: 2, redirect: 7 } as const;

/** struct xdp_md, struct __sk_buff: sizes and offsets. The kernel wants most of them to be zero. */
const xdpMd = { bytes: 24, dataEnd: 4, ingressInterface: 12 } as const;
const skBuff = { bytes: 192, ingressInterface: 36, interface: 40 } as const;

/** Bytes by which a frame becomes longer when it becomes the beginning of a datagram that came in fragments. */
const datagramBeginning = 2304;

/** In the network namespace of this process. */
export class EbpfStories {
  readonly #place = new EbpfPlace();
  readonly #netlink = new Netlink();
  readonly #supply = new DirectorSupply();

  /** With the story's sysctls, marks, MTU and table in force at time `now`. The subject before is no more. */
  async subject(story: Story, kind: ProgramKind, now: number): Promise<Subject & Filled> {
    this.#place.setMtu(story.mtu ?? 1500);
    const subject = new EbpfSubject(story, {
      kind,
      now,
      place: this.#place,
      netlink: this.#netlink,
      director: this.#supply.director(story.limits),
    });
    for (const line of story.table) await subject.ipvsadm(line.split(' '));
    return subject;
  }

  close(): void {
    this.#supply.close();
    this.#netlink.close();
  }
}

/** How full its tables are. */
interface Filled {
  tables(): readonly TableFill[];
}

interface SubjectParts {
  readonly kind: ProgramKind;
  readonly now: number;
  readonly place: EbpfPlace;
  readonly netlink: Netlink;
  readonly director: LoadedDirector;
}

class EbpfSubject implements Subject, Filled {
  readonly reassembles = false;
  readonly #parts: SubjectParts;
  readonly #settings;
  readonly #memory: DataView;
  readonly #table: EbpfTable;
  readonly #host: Host;
  readonly #director: StoryDirector;
  /** Ticks that the story's time is ahead of its word. */
  #ahead = 0;

  constructor(story: Story, parts: SubjectParts) {
    const { director, netlink, place } = parts;
    this.#parts = parts;
    const words = Object.entries(story.sysctl ?? {}).map(([name, value]) => `${name}=${value}`);
    this.#settings = readVsSettings(words.join(' '));
    this.#memory = new DataView(director.view('settings'));
    this.#table = new EbpfTable({
      director,
      size: director.sizes,
      settings: this.#settings,
      mssClamp: story.mssClamp ?? false,
      problem: (message) => {
        throw new Error(message);
      },
    });
    this.#host = new Host({ director, netlink });
    new MarkPrograms(director).enforce(storyMarks(story), netlink.links());
    const redirectable = new Set([place.interfaceIndex('client'), place.interfaceIndex('server')]);
    this.#host.refresh(netlink.links(), redirectable);
    this.#setClock(parts.now);
    this.#director = new StoryDirector((verb) => {
      this.#table.apply([verb]);
    });
  }

  async ipvsadm(words: readonly string[]): Promise<void> {
    await this.#director.ipvsadm(words);
    this.#host.refreshServers();
  }

  sysctl(name: string, value: number): void {
    Object.assign(this.#settings, { [name]: value });
    this.#table.setSettings(this.#settings);
  }

  forward(side: Side, packet: Uint8Array, now: number): Forwarded {
    this.#setClock(now);
    this.#parts.place.takeSent();
    const frame = this.#parts.place.frame(side, packet);
    const byXdp = this.#parts.kind === 'xdp' ? this.#runXdp(side, frame) : undefined;
    return byXdp ?? this.#runTc(side, frame);
  }

  advance(now: number): void {
    // an entry that has its last tick now is past its time then
    this.#ahead += 1;
    this.#setClock(now);
    const { director, place } = this.#parts;
    director.program('sweep').testRun({ data: place.frame('client', new Uint8Array(64)) });
  }

  connections(now: number): readonly ConnectionEntry[] {
    return this.#table.rows(this.#setClock(now));
  }

  tables(): readonly TableFill[] {
    const { director } = this.#parts;
    return tableFills(director.view('settings'), (name) => director.map(name).maxEntries);
  }

  listing(option: ListingOption): string {
    return this.#director.listing(option, this.#table.report());
  }

  /** The story's time stands still while real time passes. @returns its tick */
  #setClock(now: number): number {
    const tick = ticksOf(now / 1000) + this.#ahead;
    tellTime(this.#memory, tick);
    return tick;
  }

  /** @returns undefined for a packet that is left to tc */
  #runXdp(side: Side, frame: Buffer): Forwarded | undefined {
    const context = Buffer.alloc(xdpMd.bytes);
    context.writeUInt32LE(frame.length, xdpMd.dataEnd);
    context.writeUInt32LE(this.#parts.place.interfaceIndex(side), xdpMd.ingressInterface);
    const { returnValue, data } = this.#parts.director
      .program('xdp_director')
      .testRun({ data: frame, context });
    switch (returnValue) {
      case Xdp.drop:
        return dropped;
      case Xdp.tx:
        return this.#sent(this.#parts.place.placed(data, side));
      case Xdp.redirect:
        return this.#sent(this.#parts.place.placed(data));
      case Xdp.pass:
        if (!data.equals(frame)) throw new Error(`XDP passes on a changed frame: ${data.toString('hex')}`);
        return undefined;
      default:
        throw new Error(`XDP verdict ${returnValue}`);
    }
  }

  #runTc(side: Side, frame: Buffer): Forwarded {
    const context = Buffer.alloc(skBuff.bytes);
    const index = this.#parts.place.interfaceIndex(side);
    context.writeUInt32LE(index, skBuff.ingressInterface);
    context.writeUInt32LE(index, skBuff.interface);
    const { returnValue, data } = this.#parts.director
      .program('tc_director')
      .testRun({ data: frame, context, dataOutSize: frame.length + datagramBeginning });
    switch (returnValue) {
      case Tc.shot:
        return this.#sent();
      case Tc.redirect:
        return this.#sent(this.#parts.place.placed(data));
      case Tc.ok:
      case Tc.unspecified:
        return this.#passed(frame, data);
      default:
        throw new Error(`tc verdict ${returnValue}`);
    }
  }

  /** A changed frame is for this host's own stack. */
  #passed(before: Buffer, after: Buffer): Forwarded {
    const place = this.#parts.place;
    const sent = place.takeSent();
    if (!after.equals(before))
      return { verdict: 'sent', out: [...sent, { to: 'local', packet: place.placed(after).packet }] };
    return sent.length === 0 ? { verdict: 'pass', out: [] } : { verdict: 'sent', out: sent };
  }

  #sent(...last: readonly PlacedFrame[]): Forwarded {
    const out = [...this.#parts.place.takeSent(), ...last];
    return { verdict: out.length === 0 ? 'drop' : 'sent', out };
  }
}

const dropped: Forwarded = { verdict: 'drop', out: [] };
