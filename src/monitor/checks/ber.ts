/**
 * The part of BER (ITU-T X.690) that LDAP uses: tags of one byte, definite lengths (RFC 4511, section 5.1). An element is a tag, the
 * length of its contents, and the contents; constructed ones contain elements.
 */

export interface Element {
  readonly tag: number;
  readonly contents: Buffer;
}

export const tags = { boolean: 0x01, integer: 0x02, octets: 0x04, enumerated: 0x0a, sequence: 0x30 } as const;

export function element(tag: number, ...contents: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(contents.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(body.length)]), body]);
}

/** @param value 0 to 127, all that is ever sent */
export function number(tag: number, value: number): Buffer {
  return element(tag, Buffer.from([value]));
}

function lengthBytes(length: number): readonly number[] {
  if (length < 0x80) return [length];
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  const significant = [...bytes.subarray(bytes.findIndex((byte) => byte !== 0))];
  return [0x80 | significant.length, ...significant];
}

/**
 * The element that the bytes begin with, and how many bytes it takes; undefined when more bytes are needed to tell.
 * @throws when no more bytes would make one of at most `limit` bytes
 */
export function firstElement(
  bytes: Buffer,
  limit: number,
): { readonly element: Element; readonly size: number } | undefined {
  const [tag, first] = bytes;
  if (tag === undefined) return undefined;
  if ((tag & 0x1f) === 0x1f) throw new Error('no LDAP: a tag of more than one byte');
  if (first === undefined) return undefined;
  const more = first < 0x80 ? 0 : first & 0x7f;
  if (first >= 0x80 && (more === 0 || more > 4)) throw new Error('no LDAP: a length that cannot be');
  const start = 2 + more;
  if (bytes.length < start) return undefined;
  const size = start + (more === 0 ? first : bytes.readUIntBE(2, more));
  if (size > limit) throw new Error(`an answer of ${size} bytes`);
  if (bytes.length < size) return undefined;
  return { element: { tag, contents: bytes.subarray(start, size) }, size };
}

/** The elements in the contents of a constructed one. @throws when they are not elements */
export function elements({ contents }: Element): readonly Element[] {
  const found: Element[] = [];
  for (let at = 0; at < contents.length;) {
    const next = firstElement(contents.subarray(at), contents.length - at);
    if (next === undefined) throw new Error('no LDAP: an element that is cut off');
    found.push(next.element);
    at += next.size;
  }
  return found;
}

/** @throws unless it is an integer, or an enumerated, of at most six bytes */
export function numberOf({ tag, contents }: Element): number {
  const isNumber = tag === tags.integer || tag === tags.enumerated;
  if (!isNumber || contents.length < 1 || contents.length > 6) throw new Error('no LDAP: not a number');
  return contents.readIntBE(0, contents.length);
}
