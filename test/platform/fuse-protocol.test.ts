/** What a reader of the mounted files meets, told in the kernel's own messages (linux/fuse.h), without a kernel. */
import t from 'tap';
import { setImmediate as turn } from 'node:timers/promises';
import { FileSystem } from '../../src/platform/fuse/file-system.ts';
import type { TextFile } from '../../src/platform/text-files.ts';

const LOOKUP = 1;
const FORGET = 2;
const GETATTR = 3;
const OPEN = 14;
const READ = 15;
const STATFS = 17;
const RELEASE = 18;
const FLUSH = 25;
const INIT = 26;
const OPENDIR = 27;
const READDIR = 28;
const INTERRUPT = 36;
const BATCH_FORGET = 42;
const READDIRPLUS = 44;
const EINTR = -4;
const EIO = -5;
const ENOENT = -2;
const ENFILE = -23;
const ENOSYS = -38;
const root = 1;

interface Reply {
  readonly error: number;
  readonly body: Buffer;
}

/** The kernel: it asks, and takes the replies. */
class Kernel {
  readonly replies = new Map<bigint, Reply>();
  readonly problems: string[] = [];
  readonly #fileSystem: FileSystem;
  #unique = 0n;

  constructor(...files: readonly TextFile[]) {
    this.#fileSystem = new FileSystem({
      files,
      time: 1_700_000_000,
      reply: (message) => {
        if (message.readUInt32LE(0) !== message.length) throw new Error('a reply does not know its length');
        this.replies.set(message.readBigUInt64LE(8), {
          error: message.readInt32LE(4),
          body: message.subarray(16),
        });
      },
      problem: (message) => this.problems.push(message),
    });
  }

  /** @returns the request's name, by which its reply is found */
  send(opcode: number, node: number, body: Uint8Array = Buffer.alloc(0)): bigint {
    this.#unique += 2n;
    const message = Buffer.alloc(40 + body.length);
    message.writeUInt32LE(message.length, 0);
    message.writeUInt32LE(opcode, 4);
    message.writeBigUInt64LE(this.#unique, 8);
    message.writeBigUInt64LE(BigInt(node), 16);
    message.set(body, 40);
    this.#fileSystem.take(message);
    // The buffer is used again at once.
    message.fill(0xff);
    return this.#unique;
  }

  /** For what is answered at once. */
  ask(opcode: number, node: number, body?: Uint8Array): Reply {
    const reply = this.replies.get(this.send(opcode, node, body));
    if (reply === undefined) throw new Error(`no reply to ${opcode}`);
    return reply;
  }

  /** The node that a path leads to. */
  walk(path: string): number {
    return path.split('/').reduce((node, name) => {
      const { error, body } = this.ask(LOOKUP, node, Buffer.from(`${name}\0`));
      if (error !== 0) throw new Error(`${name}: ${error}`);
      return Number(body.readBigUInt64LE(0));
    }, root);
  }

  open(path: string): Handle {
    const { error, body } = this.ask(OPEN, this.walk(path), Buffer.alloc(8));
    if (error !== 0) throw new Error(`open: ${error}`);
    return new Handle(this, Number(body.readBigUInt64LE(0)));
  }

  end(): void {
    this.#fileSystem.close();
  }
}

class Handle {
  readonly #kernel: Kernel;
  readonly #handle: number;

  constructor(kernel: Kernel, handle: number) {
    this.#kernel = kernel;
    this.#handle = handle;
  }

  /** @returns the request's name */
  async begin(offset: number, size: number): Promise<bigint> {
    const body = Buffer.alloc(40);
    body.writeBigUInt64LE(BigInt(this.#handle), 0);
    body.writeBigUInt64LE(BigInt(offset), 8);
    body.writeUInt32LE(size, 16);
    const unique = this.#kernel.send(READ, root, body);
    await turn();
    return unique;
  }

  /** @returns the text, or an error number; undefined while there is no reply */
  answerTo(unique: bigint): string | number | undefined {
    const reply = this.#kernel.replies.get(unique);
    return reply === undefined || reply.error === 0 ? reply?.body.toString() : reply.error;
  }

  async read(offset: number, size: number): Promise<string | number | undefined> {
    return this.answerTo(await this.begin(offset, size));
  }

  release(): void {
    const body = Buffer.alloc(24);
    body.writeBigUInt64LE(BigInt(this.#handle), 0);
    t.equal(this.#kernel.ask(RELEASE, root, body).error, 0);
  }
}

/** A text whose pieces the test writes. */
class Dictated implements TextFile {
  readonly path = 'net/ip_vs';
  /** How each writing of the text goes, the latest last. */
  readonly runs: { write: (piece: string) => Promise<void>; end: (error?: Error) => void }[] = [];

  produce(write: (piece: string) => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        if (error === undefined) resolve();
        else reject(error);
      };
      this.runs.push({ write, end });
    });
  }

  get latest(): (typeof this.runs)[number] {
    const run = this.runs.at(-1);
    if (run === undefined) throw new Error('nobody reads');
    return run;
  }
}

function plain(path: string, text: string): TextFile {
  return { path, produce: (write) => write(text) };
}

/** How a `write` went: `room`, `waits`, or why it failed. */
function outcome(written: Promise<void>): Promise<string> {
  const settled = written.then(
    () => 'room',
    (error: unknown) => (error as Error).message,
  );
  return Promise.race([settled, turn('waits')]);
}

void t.test('what is there, and what it looks like', (t) => {
  const kernel = new Kernel(plain('net/ip_vs', 'one'), plain('net/ip_vs_stats', 'two'), plain('top', ''));
  const init = Buffer.alloc(64);
  init.writeUInt32LE(7, 0);
  init.writeUInt32LE(45, 4);
  const { body } = kernel.ask(INIT, 0, init);
  t.same([body.length, body.readUInt32LE(0), body.readUInt32LE(4)], [64, 7, 31]);
  init.writeUInt32LE(26, 4);
  t.equal(kernel.ask(INIT, 0, init).body.readUInt32LE(4), 26, 'an older kernel is spoken to as it speaks');

  const attributes = kernel.ask(GETATTR, kernel.walk('net/ip_vs'), Buffer.alloc(16)).body.subarray(16);
  t.equal(attributes.readUInt32LE(60), 0o100444, 'a file that all may read');
  t.equal(attributes.readBigUInt64LE(8), 0n, 'of size 0, like those of /proc');
  t.equal(attributes.readBigUInt64LE(32), 1_700_000_000n);
  const folder = kernel.ask(GETATTR, root, Buffer.alloc(16)).body.subarray(16);
  t.same([folder.readUInt32LE(60), folder.readUInt32LE(64)], [0o040555, 3]);
  t.equal(kernel.ask(LOOKUP, root, Buffer.from('ip_vs\0')).error, ENOENT);
  t.equal(kernel.ask(STATFS, root).body.length, 80);

  const opened = kernel.ask(OPENDIR, kernel.walk('net'), Buffer.alloc(8));
  t.equal(opened.error, 0);
  const names = (offset: number, size: number): string[] => {
    const wanted = Buffer.alloc(40);
    wanted.writeBigUInt64LE(BigInt(offset), 8);
    wanted.writeUInt32LE(size, 16);
    const { body } = kernel.ask(READDIR, kernel.walk('net'), wanted);
    const found: string[] = [];
    for (let at = 0; at < body.length;) {
      const length = body.readUInt32LE(at + 16);
      found.push(
        `${body.readBigUInt64LE(at + 8)} ${body.readUInt32LE(at + 20)} ${body.toString('utf8', at + 24, at + 24 + length)}`,
      );
      at += 24 + Math.ceil(length / 8) * 8;
    }
    return found;
  };
  t.same(names(0, 4096), ['1 4 .', '2 4 ..', '3 8 ip_vs', '4 8 ip_vs_stats']);
  t.same(names(2, 40), ['3 8 ip_vs'], 'as many as fit, from where the last part ended');
  t.same(names(4, 4096), []);
  t.end();
});

void t.test('each open reads a text of its own, to its end', async (t) => {
  let count = 0;
  const kernel = new Kernel({ path: 'a', produce: (write) => write(`text ${(count += 1)}\n`) });
  const [one, two] = [kernel.open('a'), kernel.open('a')];
  t.equal(count, 0, 'nothing is written before somebody reads');
  t.equal(await one.read(0, 4096), 'text 1\n');
  t.equal(await two.read(0, 3), 'tex');
  t.equal(await one.read(7, 4096), '');
  t.equal(await two.read(3, 4096), 't 2\n');
  t.equal(await one.read(5, 4096), '3\n', 'from somewhere else: of a fresh text');
  t.equal(await one.read(0, 4096), 'text 4\n', 'from the beginning: afresh');
});

void t.test(
  'a read waits until there is as much as it wants, and the writer while much is unread',
  async (t) => {
    const file = new Dictated();
    const kernel = new Kernel(file);
    const reader = kernel.open(file.path);
    const unique = await reader.begin(0, 10);
    t.equal(await outcome(file.latest.write('12345')), 'room');
    t.equal(reader.answerTo(unique), undefined);
    t.equal(await outcome(file.latest.write('67890abc')), 'room');
    t.equal(reader.answerTo(unique), '1234567890');

    const much = file.latest.write('x'.repeat(1 << 20));
    t.equal(await outcome(much), 'waits');
    t.equal(await reader.read(10, 100), `abc${'x'.repeat(97)}`);
    t.equal(await outcome(much), 'room');
    t.equal(await reader.read(110, 1 << 21), undefined, 'not all of that is there');
    t.equal(
      await outcome(file.latest.write('y'.repeat(1 << 20))),
      'room',
      'what comes goes to who waits for it',
    );
    file.latest.end();
    await turn();
    t.same(kernel.problems, []);
  },
);

void t.test('a reader that goes away stops the writer', async (t) => {
  const file = new Dictated();
  const kernel = new Kernel(file);
  const reader = kernel.open(file.path);
  t.equal(await reader.read(0, 5), undefined);
  const { write, end } = file.latest;
  const much = write('x'.repeat(1 << 21));
  t.equal(await outcome(much), 'waits');
  t.equal(kernel.ask(FLUSH, root, Buffer.alloc(24)).error, 0);
  reader.release();
  t.equal(await outcome(much), 'the reader went away');
  t.equal(await outcome(write('more')), 'the reader went away');
  end(new Error('the reader went away'));
  await turn();
  t.same(kernel.problems, [], 'which is no problem of anybody’s');
});

void t.test('a signal to the reader is answered, and loses nothing', async (t) => {
  const file = new Dictated();
  const kernel = new Kernel(file);
  const reader = kernel.open(file.path);
  const interrupt = (about: bigint): void => {
    const body = Buffer.alloc(8);
    body.writeBigUInt64LE(about);
    t.notOk(kernel.replies.has(kernel.send(INTERRUPT, 0, body)), 'an interrupt has no reply');
  };
  const first = await reader.begin(0, 10);
  interrupt(first);
  t.equal(reader.answerTo(first), EINTR);
  const second = await reader.begin(0, 10);
  await file.latest.write('1234');
  interrupt(second);
  t.equal(reader.answerTo(second), '1234', 'what was there');
  const third = await reader.begin(4, 10);
  await file.latest.write('5');
  file.latest.end();
  await turn();
  t.equal(reader.answerTo(third), '5');
  t.equal(file.runs.length, 1);
  interrupt(third);
});

void t.test('a writer that fails', async (t) => {
  const file = new Dictated();
  const kernel = new Kernel(file);
  const reader = kernel.open(file.path);
  const unique = await reader.begin(0, 100);
  await file.latest.write('the beginning');
  file.latest.end(new Error('the engine does not answer'));
  await turn();
  t.equal(reader.answerTo(unique), EIO);
  t.same(kernel.problems, ['net/ip_vs: the engine does not answer']);
  const again = await reader.begin(0, 100);
  await file.latest.write('all of it');
  file.latest.end();
  await turn();
  t.equal(reader.answerTo(again), 'all of it', 'who tries again gets a fresh text');
});

void t.test('limits, and what there is not', async (t) => {
  const kernel = new Kernel(new Dictated());
  const handles = Array.from({ length: 64 }, () => kernel.open('net/ip_vs'));
  const node = kernel.walk('net/ip_vs');
  t.equal(kernel.ask(OPEN, node, Buffer.alloc(8)).error, ENFILE);
  handles[0]?.release();
  t.equal(kernel.ask(OPEN, node, Buffer.alloc(8)).error, 0);
  t.equal(kernel.ask(READDIRPLUS, root, Buffer.alloc(40)).error, ENOSYS);
  for (const opcode of [FORGET, BATCH_FORGET])
    t.notOk(kernel.replies.has(kernel.send(opcode, node, Buffer.alloc(16))), 'to forget has no reply');
  const waiting = (await handles[1]?.begin(0, 10)) ?? 0n;
  kernel.end();
  await turn();
  t.equal(handles[1]?.answerTo(waiting), EIO, 'when it all ends nobody is left waiting');
});
