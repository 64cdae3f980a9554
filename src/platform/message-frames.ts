/** Messages in a stream of bytes: four bytes of length, then the structured clone of the message. */
import type { Duplex } from 'node:stream';
import { deserialize, serialize } from 'node:v8';

const HEADER = 4;

export function frameOf(message: unknown): Buffer {
  const body = serialize(message);
  const frame = Buffer.allocUnsafe(HEADER + body.length);
  frame.writeUInt32LE(body.length, 0);
  body.copy(frame, HEADER);
  return frame;
}

export function bodyOf(frame: Uint8Array): unknown {
  return deserialize(frame);
}

/** Calls back with the body of every frame that comes out of the stream; see {@link bodyOf}. */
export function readFrames(stream: Duplex, take: (body: Buffer) => void): void {
  let chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    // a large message comes in many pieces: they are joined once, when it is complete
    while (size >= HEADER) {
      const wanted = HEADER + lengthIn(chunks);
      if (size < wanted) return;
      const all = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
      take(all.subarray(HEADER, wanted));
      const rest = all.subarray(wanted);
      chunks = rest.length > 0 ? [rest] : [];
      size = rest.length;
    }
  });
}

function lengthIn(chunks: Buffer[]): number {
  const [first] = chunks;
  if (first !== undefined && first.length >= HEADER) return first.readUInt32LE(0);
  const joined = Buffer.concat(chunks);
  chunks.splice(0, chunks.length, joined);
  return joined.readUInt32LE(0);
}
