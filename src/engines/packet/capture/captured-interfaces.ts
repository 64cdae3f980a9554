/** The interfaces that are captured on, as they come and go: one capture each, offloads switched off, losses counted. */
import type { Capture } from '../../../platform/capture.ts';
import { openCapture } from '../../../platform/capture.ts';
import type { Link, Netlink } from '../../../platform/netlink.ts';
import type { OffloadRecord } from '../../../platform/offload-record.ts';
import type { RingSlots } from '../../../platform/offloads.ts';
import { lowerInterfaces, withLargeSlots } from '../../../platform/offloads.ts';
import { captureLinks, ethernetLinks } from '../../interfaces.ts';

/** Programs on this host are clients of modest pace. */
const loopbackRingBytes = 4 << 20;
/** Of each capture, all of it resident: 10,000 frames of MTU size, some 70 ms at full speed; or 1,000 of 64 KiB. */
const ringBytes = { mtu: 16 << 20, large: 64 << 20 } as const;

export interface InterfacesParts {
  readonly netlink: Pick<Netlink, 'links'>;
  readonly offloads: OffloadRecord;
  frame(link: Link, frame: Buffer, length: number): void;
  problem(message: string): void;
  info(message: string): void;
}

interface Captured {
  readonly link: Link;
  readonly capture: Capture;
  slots: RingSlots;
  readonly changes: readonly ReturnType<OffloadRecord['switchOff']>[];
  lost: number;
  /** Frames that not even large slots could hold. */
  cut: number;
}

export type MakeFilter = (link: 'ethernet' | 'raw', room: number) => Uint8Array;

export class Interfaces {
  readonly #parts: InterfacesParts;
  readonly #captured = new Map<number, Captured>();
  readonly #failed = new Set<string>();
  #down: readonly Link[] = [];
  #makeFilter: MakeFilter | undefined;
  /** Also captures on `lo`, where programs on this host are clients of the virtual services. */
  loopback = false;

  constructor(parts: InterfacesParts) {
    this.#parts = parts;
  }

  names(): string[] {
    return Array.from(this.#captured.values(), ({ link }) => link.name);
  }

  /** Where nothing is merged and cut but by the kernel itself, and offloads are no hindrance. */
  #changeOffloads(link: Link, slots: RingSlots): Captured['changes'] {
    if (link.loopback) return [];
    return [...lowerInterfaces(link.name), link.name].map((name) =>
      this.#parts.offloads.switchOff(name, slots),
    );
  }

  /** Those that are captured on, or will be when they come up: what arrives in the meantime is not the kernel's either. */
  guarded(): readonly Link[] {
    return [...Array.from(this.#captured.values(), ({ link }) => link), ...this.#down];
  }

  /** The open capture of an interface. Hot path. */
  capture(link: number): Capture | undefined {
    return this.#captured.get(link)?.capture;
  }

  /** Opens captures on interfaces that came, closes those of interfaces that went. */
  refresh(): void {
    const links = this.#parts.netlink.links();
    const own = this.loopback ? links.filter(({ loopback, up }) => loopback && up) : [];
    const wanted = new Map([...captureLinks(links), ...own].map((link) => [link.index, link]));
    this.#down = ethernetLinks(links).filter(({ up }) => !up);
    for (const [index, { link }] of this.#captured) {
      if (wanted.get(index)?.name !== link.name) this.#close(index);
    }
    for (const link of wanted.values()) if (!this.#captured.has(link.index)) this.#open(link, 'mtu');
  }

  setFilter(make: MakeFilter): void {
    this.#makeFilter = make;
    for (const { capture } of this.#captured.values()) this.#filter(capture, make);
  }

  /** Reads the counters of the captures' rings. */
  countLosses(): void {
    for (const captured of this.#captured.values()) captured.lost += captured.capture.statistics().dropped;
  }

  /** What was lost since the last call, in words for a log. */
  losses(): string[] {
    const lines: string[] = [];
    for (const captured of this.#captured.values()) {
      if (captured.lost > 0)
        lines.push(
          `${captured.link.name}: ${captured.lost} packets lost, more than can be forwarded came in`,
        );
      if (captured.cut > 0)
        lines.push(
          `${captured.link.name}: ${captured.cut} packets lost, longer than can be captured: switch off TSO and GSO at its other end`,
        );
      captured.lost = captured.cut = 0;
    }
    return lines;
  }

  close(): void {
    for (const index of [...this.#captured.keys()]) this.#close(index);
  }

  /**
   * A frame came that was longer than the slots of the ring: the other end of the interface (a container, a virtual machine) leaves
   * segments uncut. From now on they fit.
   */
  enlarge(index: number): void {
    const captured = this.#captured.get(index);
    if (captured === undefined) return;
    if (captured.slots === 'large') {
      captured.cut++;
      return;
    }
    captured.slots = 'large';
    // not between two frames of the capture that is to be closed
    setImmediate(() => {
      if (this.#captured.get(index) !== captured) return;
      this.#close(index);
      this.#open(captured.link, 'large');
      this.#parts.info(
        `${captured.link.name}: its other end sends segments that no network card has cut; they are cut here`,
      );
    });
  }

  #open(link: Link, slots: RingSlots): void {
    try {
      const changes = this.#changeOffloads(link, slots);
      const offloads = changes.flatMap(({ interface: name, switchedOff }) =>
        switchedOff.map((offload) => `${name} ${offload}`),
      );
      if (offloads.length > 0) this.#parts.info(`offloads off while directord runs: ${offloads.join(', ')}`);
      const refused = changes.flatMap(({ interface: name, refused }) =>
        refused.map((offload) => `${name} ${offload}`),
      );
      if (refused.length > 0)
        this.#parts.problem(
          `these offloads cannot be switched off, packets may be lost: ${refused.join(', ')}`,
        );
      const open = (): Capture => this.#openCapture(link, slots);
      const capture = slots === 'large' ? withLargeSlots(link.name, open) : open();
      this.#captured.set(link.index, { link, capture, slots, changes, lost: 0, cut: 0 });
      if (this.#makeFilter !== undefined) this.#filter(capture, this.#makeFilter);
      this.#failed.delete(link.name);
    } catch (error) {
      if (!this.#failed.has(link.name))
        this.#parts.problem(`no packets of ${link.name}: ${(error as Error).message}`);
      this.#failed.add(link.name);
    }
  }

  #openCapture(link: Link, slots: RingSlots): Capture {
    const options = { ringBytes: link.loopback ? loopbackRingBytes : ringBytes[slots] };
    return openCapture(link.name, options, {
      frame: (frame, length) => {
        this.#parts.frame(link, frame, length);
      },
    });
  }

  #close(index: number): void {
    const captured = this.#captured.get(index);
    if (captured === undefined) return;
    this.#captured.delete(index);
    captured.capture.close();
    for (const change of captured.changes) {
      try {
        change.restore();
      } catch (error) {
        this.#parts.info(`${change.interface}: offloads stay as they are: ${(error as Error).message}`);
      }
    }
  }

  #filter(capture: Capture, make: MakeFilter): void {
    if (capture.link !== 'other') capture.setFilter(make(capture.link, capture.filterRoom));
  }
}
