/** The command `directord capture`: packets as the ebpf engine sees them, those of XDP too, which tcpdump cannot see, as a file for it. */
import type { Streams } from '../../cli/directord.ts';
import type { CaptureCommand } from '../../cli/seeing-commands.ts';
import type { SampledPacket } from '../../engines/ebpf/capturing.ts';
import { Capturing } from '../../engines/ebpf/capturing.ts';
import { capturedBytes } from '../../engines/ebpf/layout.ts';
import type { Link } from '../../platform/netlink.ts';
import { Netlink } from '../../platform/netlink.ts';
import { pcapHeader, pcapngHeader, pcapngRecord, pcapRecord } from '../../wire/pcap.ts';
import type { User } from '../places.ts';
import { findPins } from './find-pins.ts';

/** Where the file goes: stdout. */
export interface Output {
  readonly isTTY?: boolean;
  write(bytes: Uint8Array): unknown;
  /** Whether somebody still reads it. */
  isOpen(): boolean;
}

export interface CaptureParts {
  readonly streams: Pick<Streams, 'err'>;
  readonly user: User;
  readonly output: Output;
  /** Ends it, as Ctrl-C does. */
  readonly end: AbortSignal;
}

/** Milliseconds between two looks when there was nothing, and between two renewals. */
const pause = 10;
const renewal = 1000;

/** @returns the exit code */
export async function capture(command: CaptureCommand, parts: CaptureParts): Promise<number> {
  const { streams, user, output, end } = parts;
  if (output.isTTY === true) {
    streams.err(
      'directord: capture writes a file that no terminal can show: directord capture | tcpdump -n -r -\n',
    );
    return 1;
  }
  const links = readLinks();
  const interfaces = command.interfaces.map((name) => {
    const link = links.find((link) => link.name === name);
    if (link === undefined) throw new Error(`there is no interface ${name}`);
    return link.index;
  });
  const capturing = new Capturing(findPins(command.control, user));
  try {
    const { every, after } = command;
    capturing.start({ every, after, interfaces });
    streams.err(`directord: ${describe(command)}\n`);
    const writer = new Writer(command, output, links);
    const why = await run(capturing, writer, parts, command.count ?? Infinity);
    capturing.stop();
    const { lost } = capturing;
    streams.err(
      `directord: ${writer.count} packets captured${lost > 0 ? `, ${lost} more lost: --every would be slower` : ''}${why}\n`,
    );
    return end.aborted || why === '' ? 0 : 1;
  } finally {
    capturing.close();
  }
}

function describe({ every, interfaces, after, ng, count }: CaptureCommand): string {
  const which = every === 1 ? 'every packet' : `one packet of ${every}`;
  const where = interfaces.length === 0 ? 'all interfaces' : interfaces.join(', ');
  const how = after ? 'as the ebpf engine leaves them' : 'as they come';
  const until = count === undefined ? 'Ctrl-C ends it' : `${count} in all`;
  return `${which} of ${where}, ${how}, as ${ng ? 'pcapng' : 'pcap'} on stdout; ${until}`;
}

/** @returns '' or why it ended before it was to */
async function run(capturing: Capturing, writer: Writer, parts: CaptureParts, most: number): Promise<string> {
  const { output, end } = parts;
  let renewed = performance.now();
  while (!end.aborted && writer.count < most && output.isOpen()) {
    const found = capturing.read((packet) => {
      if (writer.count < most) writer.write(packet);
    });
    writer.flush();
    if (performance.now() - renewed >= renewal) {
      renewed = performance.now();
      if (!capturing.renew()) return '; the ebpf engine has gone';
    }
    await new Promise((resolve) => (found > 0 ? setImmediate(resolve) : setTimeout(resolve, pause)));
  }
  return '';
}

/** Interfaces that came up since are the last one of the file, which has a name of its own. */
class Writer {
  readonly #ng: boolean;
  readonly #output: Output;
  readonly #indexes: readonly number[];
  /** What takes the kernel's monotonic clock to the time of day. */
  readonly #epoch =
    BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)) - process.hrtime.bigint();
  #pieces: Uint8Array[] = [];
  count = 0;

  constructor({ ng }: CaptureCommand, output: Output, links: readonly Link[]) {
    this.#ng = ng;
    this.#output = output;
    this.#indexes = links.map(({ index }) => index);
    const names = [...links.map(({ name }) => name), 'another'];
    output.write(ng ? pcapngHeader(capturedBytes, names) : pcapHeader(capturedBytes));
  }

  write({ time, length, bytes, interface: index, hook, verdict }: SampledPacket): void {
    const frame = { time: this.#epoch + time, length, bytes };
    this.count++;
    if (!this.#ng) {
      this.#pieces.push(pcapRecord(frame));
      return;
    }
    const at = this.#indexes.indexOf(index);
    const place = at < 0 ? this.#indexes.length : at;
    this.#pieces.push(pcapngRecord({ ...frame, interface: place, judge: hook === 'tc' ? 1 : 2, verdict }));
  }

  flush(): void {
    if (this.#pieces.length === 0) return;
    this.#output.write(Buffer.concat(this.#pieces));
    this.#pieces = [];
  }
}

function readLinks(): readonly Link[] {
  const netlink = new Netlink();
  try {
    return netlink.links();
  } finally {
    netlink.close();
  }
}
