/**
 * Readers: functions from whatever JSON held to a typed value, or {@link Malformed} with the place and what was
 * expected there. Messages are described by composing them, so that a message that was read needs no further checks.
 */

export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** @param at where the value stands in the message, for the error: `verb.service.port` */
export type Reader<T> = (value: unknown, at: string) => T;

type Values<Readers> = { readonly [Key in keyof Readers]: Readers[Key] extends Reader<infer T> ? T : never };

/** Members beyond those named are left out. */
export function object<Required extends object>(required: Required): Reader<Values<Required>>;
export function object<Required extends object, Optional extends object>(
  required: Required,
  optional: Optional,
): Reader<Values<Required> & Partial<Values<Optional>>>;
export function object(required: object, optional: object = {}): Reader<unknown> {
  const readers = new Map<string, Reader<unknown>>(Object.entries(required));
  const optionalReaders = new Map<string, Reader<unknown>>(Object.entries(optional));
  return (value, at) => {
    const members = membersOf(value, at);
    const found: Record<string, unknown> = {};
    for (const [key, read] of readers) found[key] = read(members[key], `${at}.${key}`);
    for (const [key, read] of optionalReaders) {
      if (members[key] !== undefined) found[key] = read(members[key], `${at}.${key}`);
    }
    return found;
  };
}

/** An object whose member `tag` says which of the readers is for it. */
export function tagged<Readers extends Record<string, Reader<unknown>>>(
  tag: string,
  readers: Readers,
): Reader<ReturnType<Readers[keyof Readers]>> {
  const byTag = new Map<string, Reader<unknown>>(Object.entries(readers));
  return (value, at) => {
    const name = membersOf(value, at)[tag];
    const read = typeof name === 'string' ? byTag.get(name) : undefined;
    if (read === undefined) return expected([...byTag.keys()].join(' or '), `${at}.${tag}`);
    return read(value, at) as ReturnType<Readers[keyof Readers]>;
  };
}

export function array<T>(item: Reader<T>): Reader<readonly T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) return expected('an array', at);
    return value.map((element: unknown, i) => item(element, `${at}[${i}]`));
  };
}

/** A whole number in that range, both ends included. */
export function integer(min: number, max: number): Reader<number> {
  return (value, at) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : expected(`a whole number ${min}..${max}`, at);
}

/** A finite number, 0 or more. */
export const quantity: Reader<number> = (value, at) =>
  typeof value === 'number' && value >= 0 && value < Infinity ? value : expected('a number, 0 or more', at);

export function text(maxLength: number): Reader<string> {
  return (value, at) =>
    typeof value === 'string' && value.length <= maxLength
      ? value
      : expected(`text of at most ${maxLength} characters`, at);
}

export const truth: Reader<boolean> = (value, at) =>
  typeof value === 'boolean' ? value : expected('true or false', at);

export function oneOf<const Choice extends string | number>(...choices: readonly Choice[]): Reader<Choice> {
  return (value, at) => choices.find((choice) => choice === value) ?? expected(choices.join(' or '), at);
}

export function expected(what: string, at: string): never {
  throw new Malformed(`${at}: expected ${what}`);
}

function membersOf(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return expected('an object', at);
  return value as Record<string, unknown>;
}
