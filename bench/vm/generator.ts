/** A generator at the client's interface, or the server's: generator.bpf.c, run by a process in the client's namespace. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { BpfObject } from '../../src/platform/bpf/bpf-object.ts';
import { flows, frameBytes } from './frames.ts';
import { compiled } from './place.ts';

const runner = new URL('generate.js', import.meta.url).pathname;

export class Generator {
  readonly #object: BpfObject;
  readonly #interface: number;
  readonly #isServer: boolean;
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  /** @param index of the interface @param namespace that it is in: the client's, or the server's, from where frames are replies */
  constructor(index: number, namespace: 'client' | 'server' = 'client') {
    this.#interface = index;
    this.#object = BpfObject.open(compiled('generator'));
    this.#object.load();
    this.#isServer = namespace === 'server';
    const pin = `/run/bpf/generate-${namespace}`;
    const command = ['netns', 'exec', namespace, 'node', runner, pin];
    this.#object.program('generate').pin(pin); // not below /sys, which `ip netns` hides
    this.#process = spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** @param first the first client's frame @returns nanoseconds a frame, which are instructions here */
  async send(first: Buffer, frames: number): Promise<number> {
    const stream = Buffer.concat([first, Buffer.alloc(16)]);
    stream.writeUInt32LE(this.#interface, frameBytes);
    stream.writeUInt32LE(flows, frameBytes + 4);
    stream.writeUInt32LE(Number(this.#isServer), frameBytes + 12);
    this.#object.map('stream').update(Buffer.alloc(4), stream);
    this.#process.stdin.write(`${frames}\n`);
    const answer: IteratorResult<string, unknown> = await this.#answers.next();
    if (answer.done === true) throw new Error('the generator ended');
    return Number(answer.value);
  }

  close(): void {
    this.#process.stdin.end();
  }
}
