/**
 * Sampled packets of the programs in the kernel, through what is pinned: no daemon needs to run. The programs stop sampling by themselves
 * when nobody has renewed the request for some seconds, so they never go on for a reader that was killed.
 */
import { existsSync } from 'node:fs';
import { BpfMap } from '../../platform/bpf/bpf-map.ts';
import { RingBuffer } from '../../platform/bpf/ring-buffer.ts';
import { Captured, capturedInterfaces, Capturing as Asked, Hook, Settings } from './layout.ts';
import type { Pins } from './pins.ts';
import { monotonicTicks, ticksBetween, ticksOf } from './ticks.ts';

/** Seconds that a request is good for. */
const lease = 5;

export interface CaptureRequest {
  /** Every how manyth packet. */
  readonly every: number;
  /** As packets are afterwards, rather than as they came. */
  readonly after: boolean;
  /** Indexes; of all interfaces when empty. */
  readonly interfaces: readonly number[];
}

export interface SampledPacket {
  /** Nanoseconds of the monotonic clock. */
  readonly time: bigint;
  /** Index of the one that it came in by. */
  readonly interface: number;
  readonly hook: 'xdp' | 'tc';
  /** XDP_* or TC_ACT_*. */
  readonly verdict: number;
  /** Bytes of the whole frame. */
  readonly length: number;
  /** The first of them; only to be read during the call that brings them. */
  readonly bytes: Buffer;
}

export class Capturing {
  readonly #pins: Pick<Pins, 'map'>;
  readonly #maps: readonly BpfMap[];
  readonly #settings: DataView;
  readonly #asked: DataView;
  readonly #owner: Uint32Array;
  readonly #ring: RingBuffer;
  #request: CaptureRequest | undefined;

  /** @throws when somebody else is capturing, or there are no programs of this version */
  constructor(pins: Pick<Pins, 'map'>) {
    this.#pins = pins;
    const open = (name: string): BpfMap => BpfMap.openPinned(pins.map(name));
    const [settings, asked, captures] = [open('settings'), open('capturing'), open('captures')];
    this.#maps = [settings, asked, captures];
    this.#settings = new DataView(settings.view());
    this.#asked = new DataView(asked.view());
    this.#owner = new Uint32Array(asked.view(), Asked.owner, 1);
    try {
      this.#own();
      this.#ring = new RingBuffer(captures);
    } catch (error) {
      for (const map of this.#maps) map.close();
      throw error;
    }
  }

  start(request: CaptureRequest): void {
    const { after, interfaces } = request;
    if (interfaces.length > capturedInterfaces)
      throw new Error(`at most ${capturedInterfaces} interfaces can be named`);
    this.#asked.setUint32(Asked.after, after ? 1 : 0, true);
    this.#asked.setUint32(Asked.lost, 0, true);
    for (let i = 0; i < capturedInterfaces; i++)
      this.#asked.setUint32(Asked.interfaces + 4 * i, interfaces[i] ?? 0, true);
    // what was left by somebody who did not read it
    this.#ring.consume(() => undefined);
    this.#request = request;
    this.renew();
  }

  /** To be called every second. @returns whether the programs are still there */
  renew(): boolean {
    if (this.#request === undefined) return false;
    const now = monotonicTicks();
    this.#asked.setUint32(Asked.until, now + ticksOf(lease), true);
    this.#settings.setUint32(Settings.capture, this.#request.every, true);
    return existsSync(this.#pins.map('captures'));
  }

  /** Packets that came since the last call. @returns how many */
  read(onPacket: (packet: SampledPacket) => void): number {
    return this.#ring.consume((record) => {
      onPacket({
        time: record.readBigUInt64LE(Captured.time),
        interface: record.readUInt32LE(Captured.interface),
        length: record.readUInt32LE(Captured.length),
        verdict: record.readInt32LE(Captured.verdict),
        hook: record.readUInt32LE(Captured.hook) === Hook.xdp ? 'xdp' : 'tc',
        bytes: record.subarray(Captured.data),
      });
    });
  }

  /** Packets that were to be captured and found no room, because nobody read fast enough. */
  get lost(): number {
    return this.#asked.getUint32(Asked.lost, true);
  }

  /** No packet is captured from now on; those that were can still be read. */
  stop(): void {
    this.#request = undefined;
    this.#settings.setUint32(Settings.capture, 0, true);
  }

  close(): void {
    this.stop();
    Atomics.compareExchange(this.#owner, 0, process.pid, 0);
    this.#ring.close();
    for (const map of this.#maps) map.close();
  }

  /** There is one ring buffer, and what one reader takes another never sees. */
  #own(): void {
    const other = Atomics.load(this.#owner, 0);
    const now = monotonicTicks();
    const left = ticksBetween(now, this.#asked.getUint32(Asked.until, true));
    const isAlive = other !== 0 && left >= 0 && left <= ticksOf(lease) && isRunning(other);
    if (isAlive || Atomics.compareExchange(this.#owner, 0, other, process.pid) !== other)
      throw new Error(`process ${Atomics.load(this.#owner, 0)} is capturing already`);
  }
}

function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}
