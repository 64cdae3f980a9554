/** Sends prepared Ethernet frames from an interface, many in one system call: sendmmsg(2) on an AF_PACKET socket. */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)') as (
  family: number,
  type: number,
  protocol: number,
) => number;
const bind = libc.func('int bind(int, void *, uint32_t)') as (
  fd: number,
  address: Uint8Array,
  length: number,
) => number;
const setsockopt = libc.func('int setsockopt(int, int, int, void *, uint32_t)') as (
  fd: number,
  level: number,
  option: number,
  value: Uint8Array,
  length: number,
) => number;
const sendmmsg = libc.func('int sendmmsg(int, void *, unsigned int, int)') as (
  fd: number,
  messages: Uint8Array,
  count: number,
  flags: number,
) => number;
const interfaceIndex = libc.func('unsigned int if_nametoindex(const char *)') as (name: string) => number;
const strerror = libc.func('const char *strerror(int)') as (error: number) => string;

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOL_PACKET = 263;
const PACKET_QDISC_BYPASS = 20;
const busy = new Set([4, 11, 105]); // EINTR, EAGAIN, ENOBUFS
/** struct mmsghdr: a msghdr whose third and fourth words are the address and number of its iovecs. */
const messageBytes = 64;
/** struct iovec: address, length. */
const vectorBytes = 16;

/** Frames of one length side by side, which may be rewritten between sends. */
export class FrameSender {
  readonly count: number;
  readonly #fd: number;
  readonly #frames: readonly Uint8Array[];
  readonly #messages: Uint8Array;
  /** The kernel reads these by address. */
  readonly #kept: readonly Uint8Array[];

  /** Needs CAP_NET_RAW. @param length of each frame, from the Ethernet header on */
  constructor(interfaceName: string, count: number, length: number) {
    this.count = count;
    this.#fd = socket(AF_PACKET, SOCK_RAW, 0);
    const address = Buffer.alloc(20);
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeUInt32LE(interfaceIndex(interfaceName), 4);
    if (this.#fd < 0 || bind(this.#fd, address, address.length) < 0)
      throw new Error(`no packet socket on ${interfaceName}: ${strerror(koffi.errno())}`);
    const yes = new Uint8Array(Int32Array.of(1).buffer);
    setsockopt(this.#fd, SOL_PACKET, PACKET_QDISC_BYPASS, yes, yes.length);

    const bytes = new Uint8Array(count * length);
    const vectors = new BigUint64Array((count * vectorBytes) / 8);
    const messages = new BigUint64Array((count * messageBytes) / 8);
    this.#kept = [bytes, new Uint8Array(vectors.buffer)];
    this.#messages = new Uint8Array(messages.buffer);
    const [framesAt, vectorsAt] = this.#kept.map((kept) => koffi.address(kept)) as [bigint, bigint];
    for (let i = 0; i < count; i++) {
      vectors[2 * i] = framesAt + BigInt(i * length);
      vectors[2 * i + 1] = BigInt(length);
      messages[8 * i + 2] = vectorsAt + BigInt(i * vectorBytes);
      messages[8 * i + 3] = 1n;
    }
    this.#frames = Array.from({ length: count }, (_, i) => bytes.subarray(i * length, (i + 1) * length));
  }

  /** The bytes of one frame. */
  frame(at: number): Uint8Array {
    const frame = this.#frames[at];
    if (frame === undefined) throw new RangeError(`no frame ${at}`);
    return frame;
  }

  /** Sends so many frames, from one on; waits where the kernel's queue is full. */
  send(from: number, count: number): void {
    let at = from;
    while (at < from + count) {
      const messages = this.#messages.subarray(at * messageBytes);
      const sent = sendmmsg(this.#fd, messages, from + count - at, 0);
      if (sent > 0) at += sent;
      else if (!busy.has(koffi.errno())) throw new Error(`sendmmsg: ${strerror(koffi.errno())}`);
    }
  }
}
