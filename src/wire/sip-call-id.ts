/**
 * The Call-ID of a SIP message (RFC 3261, section 20.8), found where Linux finds it: what is no proper message to that has none
 * here either. Looks at bytes from outside: never reads past their end, and takes one pass over them.
 */

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;
const AT = 64;

const NAME = Array.from('call-id', (letter) => letter.charCodeAt(0));
/** The compact form. */
const LETTER_I = 105;
/** Bytes. */
const LONGEST = 255;
const NOWHERE = -1;

/** What a word consists of: letters, also those of ISO 8859-1, digits, and these. */
const WORD = new Uint8Array(256);
for (const mark of '-.!%*_+`\'~()<>:\\"/[]?{}') WORD[mark.charCodeAt(0)] = 1;
for (let byte = 0; byte < 256; byte++) if (isLetter(byte) || (byte >= 48 && byte <= 57)) WORD[byte] = 1;

/**
 * @param end - of the message
 * @returns the Call-ID, a character for each byte; undefined when there is none, or one that is not whole or too long
 */
export function findCallId(bytes: Uint8Array, from: number, end: number): string | undefined {
  let at = from;
  while (at < end) {
    if (!isLineBreak(bytes[at] as number)) {
      at++;
      continue;
    }
    const line = pastLineBreak(bytes, at, end);
    const name = pastName(bytes, line, end);
    if (name === NOWHERE) {
      // the first byte of a line is not taken for the end of that line
      at = line + 1;
      continue;
    }
    const value = pastColon(bytes, name, end);
    if (value === NOWHERE) return undefined;
    const last = pastCallId(bytes, value, end);
    if (last > value) return wholeCallId(bytes, value, last, end);
    at = value;
  }
  return undefined;
}

function wholeCallId(bytes: Uint8Array, from: number, to: number, end: number): string | undefined {
  if (to === end || !isLineBreak(bytes[to] as number) || to - from > LONGEST) return undefined;
  return String.fromCharCode(...bytes.subarray(from, to));
}

/** Behind the name of the header; no letter follows its compact form. */
function pastName(bytes: Uint8Array, at: number, end: number): number {
  if (at + 1 >= end) return NOWHERE;
  let letter = 0;
  while (letter < NAME.length && at + letter < end && lower(bytes[at + letter] as number) === NAME[letter])
    letter++;
  if (letter === NAME.length) return at + letter;
  const compact = lower(bytes[at] as number) === LETTER_I && !isLetter(bytes[at + 1] as number);
  return compact ? at + 1 : NOWHERE;
}

/** Where the value begins, be it on a line that continues this one. */
function pastColon(bytes: Uint8Array, at: number, end: number): number {
  const colon = pastBlanks(bytes, at, end);
  if (colon === NOWHERE || bytes[colon] !== COLON) return NOWHERE;
  return pastBlanks(bytes, colon + 1, end);
}

function pastBlanks(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && isBlank(bytes[at] as number)) at++;
  if (at >= end) return NOWHERE;
  if (!isLineBreak(bytes[at] as number)) return at;
  at = pastLineBreak(bytes, at, end);
  if (at >= end || !isBlank(bytes[at] as number)) return NOWHERE;
  while (at < end && isBlank(bytes[at] as number)) at++;
  return at < end ? at : NOWHERE;
}

/** Behind `word` or `word@word`; `from` itself when there is neither. */
function pastCallId(bytes: Uint8Array, from: number, end: number): number {
  const at = pastWord(bytes, from, end);
  if (at === from || at >= end || bytes[at] !== AT) return at;
  const host = pastWord(bytes, at + 1, end);
  return host === at + 1 ? from : host;
}

function pastWord(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && WORD[bytes[at] as number] === 1) at++;
  return at;
}

function pastLineBreak(bytes: Uint8Array, at: number, end: number): number {
  return bytes[at] === CR && at + 1 < end && bytes[at + 1] === LF ? at + 2 : at + 1;
}

function isLineBreak(byte: number): boolean {
  return byte === LF || byte === CR;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

function isLetter(byte: number): boolean {
  const ascii = lower(byte);
  return (ascii >= 97 && ascii <= 122) || (byte >= 0xc0 && byte !== 0xd7 && byte !== 0xf7);
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}
