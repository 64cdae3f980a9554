/** Cuts a byte stream into lines, however the bytes arrive, and never holds more than the longest line allowed. */

export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

/** Complete lines without their newline; a last line that has none is dropped. @throws LineTooLong */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<string, void, undefined> {
  let parts: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      parts.push(chunk.subarray(start, end));
      held += end - start;
      if (held > maxBytes) throw new LineTooLong(`a line of more than ${maxBytes} bytes`);
      yield Buffer.concat(parts).toString('utf8');
      parts = [];
      held = 0;
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
    held += chunk.length - start;
    if (held > maxBytes) throw new LineTooLong(`a line of more than ${maxBytes} bytes`);
  }
}
