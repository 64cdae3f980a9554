/**
 * The classes of values in ldirectord.cf: numbers, yes/no, quoted strings, words. Each parser gets the text after `=`
 * and returns the value, or a {@link Problem} in ldirectord's words.
 */
import { Problem } from './diagnostic.ts';

export type Parser<T> = (text: string) => T | Problem;

/** First run of digits anywhere in the value. 0 is refused. */
export function positive(message: string, unit: string): Parser<number> {
  return (text) => {
    const number = firstNumber(text);
    return number !== undefined && number > 0 ? number : new Problem(message, `${unit}, 1 or more`);
  };
}

/** First run of digits anywhere in the value, 0 included. */
export function natural(message: string, expected: string): Parser<number> {
  return (text) => firstNumber(text) ?? new Problem(message, expected);
}

/** Digits at the start of the value. */
export function leadingNumber(message: string, expected: string): Parser<number> {
  return (text) => {
    const digits = /^\d+/.exec(text)?.[0];
    return digits === undefined ? new Problem(message, expected) : Number(digits);
  };
}

/** Exactly `yes` or `no`, to the end of the line. */
export function yesNo(name: string): Parser<boolean> {
  return (text) => {
    if (text === 'yes' || text === 'no') return text === 'yes';
    const trailing = /^(yes|no)(?=[^a-z])/.exec(text)?.[0];
    return new Problem(
      `${name} must be 'yes' or 'no'`,
      trailing === undefined ? 'yes or no' : `nothing after "${trailing}", not even a blank or a comment`,
    );
  };
}

/** Exactly one of these words, to the end of the line. */
export function oneOf<const T extends string>(name: string, words: readonly T[]): Parser<T> {
  return (text) =>
    words.find((word) => word === text) ??
    new Problem(`${name} must be ${words.map((word) => `'${word}'`).join(', ')}`, 'one of these words alone');
}

/** From the first to the last double quote. Without quotes ldirectord does not know the command at all. */
export function quoted(emptyMessage: string | undefined): Parser<string> {
  return (text) => {
    const inner = /^"(.*)"/s.exec(text)?.[1];
    if (inner === undefined) return new Problem(undefined, 'the value in double quotes');
    if (inner === '' && emptyMessage !== undefined)
      return new Problem(emptyMessage, 'something between the quotes');
    return inner;
  };
}

/** Quoted, quotes stripped, or else the bare rest of the line. */
export function quotedOrBare(emptyMessage: string, expected: string): Parser<string> {
  return (text) => {
    const value = /^"(.*)"/s.exec(text)?.[1] ?? text;
    return value === '' ? new Problem(emptyMessage, expected) : value;
  };
}

/** The rest of the line as it is. */
export function rest(emptyMessage: string, expected: string): Parser<string> {
  return (text) => (text === '' ? new Problem(emptyMessage, expected) : text);
}

export const anything: Parser<string> = (text) => text;

/** The first match of a pattern with one group. */
export function matching(pattern: RegExp, message: string, expected: string): Parser<string> {
  return (text) => pattern.exec(text)?.[1] ?? new Problem(message, expected);
}

/** A parser applied to the result of another one. */
export function then<A, B>(first: Parser<A>, second: (value: A) => B | Problem): Parser<B> {
  return (text) => {
    const value = first(text);
    return value instanceof Problem ? value : second(value);
  };
}

function firstNumber(text: string): number | undefined {
  const digits = /\d+/.exec(text)?.[0];
  return digits === undefined ? undefined : Number(digits);
}
