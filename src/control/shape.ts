/**
 * Readers: functions from whatever JSON held to a typed value, or {@link Malformed} with the place and what was
 * expected there. Messages are described by composing them, so that a message that was read needs no further checks.
 * A listing has a million members, so a place is put together only when something is wrong there.
 */

export class Malformed extends Error {
  override readonly name = 'Malformed';
  readonly #what: string;
  readonly #place: string;

  /** @param place - where in the message: `verb.service.port` */
  constructor(what: string, place = '', options?: ErrorOptions) {
    super(place === '' ? what : `${place}: ${what}`, options);
    this.#what = what;
    this.#place = place;
  }

  /** The same, seen from one level further out. */
  within(member: string): Malformed {
    const dot = this.#place === '' || this.#place.startsWith('[') ? '' : '.';
    return new Malformed(this.#what, `${member}${dot}${this.#place}`);
  }
}

/** @throws Malformed */
export type Reader<T> = (value: unknown) => T;

type Values<Readers> = { readonly [Key in keyof Readers]: Readers[Key] extends Reader<infer T> ? T : never };

/** Reads a part of a message; what is wrong with it is said of `place`. @throws Malformed */
export function read<T>(reader: Reader<T>, value: unknown, place: string): T {
  try {
    return reader(value);
  } catch (error) {
    throw error instanceof Malformed ? error.within(place) : error;
  }
}

/** Members beyond those named are left out. */
export function object<Required extends object>(required: Required): Reader<Values<Required>>;
export function object<Required extends object, Optional extends object>(
  required: Required,
  optional: Optional,
): Reader<Values<Required> & Partial<Values<Optional>>>;
export function object(required: object, optional: object = {}): Reader<unknown> {
  const readers: readonly [string, Reader<unknown>][] = Object.entries(required);
  const optionalReaders: readonly [string, Reader<unknown>][] = Object.entries(optional);
  return (value) => {
    const members = membersOf(value);
    const found: Record<string, unknown> = {};
    for (const [key, reader] of readers) found[key] = read(reader, members[key], key);
    for (const [key, reader] of optionalReaders) {
      if (members[key] !== undefined) found[key] = read(reader, members[key], key);
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
  return (value) => {
    const name = membersOf(value)[tag];
    const reader = typeof name === 'string' ? byTag.get(name) : undefined;
    if (reader === undefined) throw new Malformed(`expected ${[...byTag.keys()].join(' or ')}`, tag);
    return reader(value) as ReturnType<Readers[keyof Readers]>;
  };
}

export function array<T>(item: Reader<T>): Reader<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) return expected('an array');
    return value.map((element: unknown, i) => {
      try {
        return item(element);
      } catch (error) {
        throw error instanceof Malformed ? error.within(`[${i}]`) : error;
      }
    });
  };
}

/** A whole number in that range, both ends included. */
export function integer(min: number, max: number): Reader<number> {
  return (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : expected(`a whole number ${min}..${max}`);
}

/** A finite number, 0 or more. */
export const quantity: Reader<number> = (value) =>
  typeof value === 'number' && value >= 0 && value < Infinity ? value : expected('a number, 0 or more');

export function text(maxLength: number): Reader<string> {
  return (value) =>
    typeof value === 'string' && value.length <= maxLength
      ? value
      : expected(`text of at most ${maxLength} characters`);
}

export const truth: Reader<boolean> = (value) =>
  typeof value === 'boolean' ? value : expected('true or false');

export function oneOf<const Choice extends string | number>(...choices: readonly Choice[]): Reader<Choice> {
  return (value) => {
    for (const choice of choices) if (choice === value) return choice;
    return expected(choices.join(' or '));
  };
}

export function expected(what: string): never {
  throw new Malformed(`expected ${what}`);
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return expected('an object');
  return value as Record<string, unknown>;
}
