/**
 * `real=`: HOST[->HOST2][:PORT] FORWARD [WEIGHT] ["REQUEST"[,] "RECEIVE"] [l:N] [u:N]. Syntax only; names are
 * resolved later, between {@link parseRealAddress} and {@link parseRealOptions}, which is the order of ldirectord's errors.
 */
import type { Forwarding } from '../director/table.ts';
import { Problem } from './diagnostic.ts';

export interface RealAddress {
  /** Text before the part that was understood; ldirectord skips it in silence. */
  readonly skipped: string;
  readonly host: string;
  /** End of a range, inclusive. */
  readonly lastHost: string | undefined;
  readonly port: string | undefined;
  readonly options: string;
  /** Where the options start in the value. */
  readonly index: number;
}

export interface RealOptions {
  readonly forwarding: Forwarding;
  readonly weight: number;
  readonly request: string | undefined;
  readonly receive: string | undefined;
  readonly lowerThreshold: number;
  readonly upperThreshold: number;
  /** Options lost because one that belongs before them follows, and that one. */
  readonly lost: readonly [lost: string, by: string][];
}

const host = '(\\[[0-9A-Fa-f:]+\\]|[A-Za-z0-9.-]+)';
const address = new RegExp(`${host}(?:->${host})?(?::([A-Za-z0-9_-]+))?([ \\t\\r\\f\\v].*)$`, 's');
const separator = '(?:[ \\t\\r\\f\\v]*,)?[ \\t\\r\\f\\v]+';
const maxWeight = 0x7fffffff;

/** The options in the order they must have. */
const optionForms = [
  { name: 'weight', form: new RegExp(`^${separator}(\\d+)`) },
  { name: 'request and receive', form: new RegExp(`^${separator}"(.*)"(?:,[ \\t]*|[ \\t]+)"(.*)"`, 's') },
  { name: 'l:', form: new RegExp(`^${separator}l:(\\d+)`) },
  { name: 'u:', form: new RegExp(`^${separator}u:(\\d+)`) },
] as const;

export function parseRealAddress(value: string): RealAddress | Problem {
  const match = address.exec(value);
  if (match === null) {
    return new Problem(
      'invalid address for real server (wrong format)',
      'ADDRESS:PORT, a blank, and gate, masq or ipip',
    );
  }
  const [, first = '', lastHost, port, options = ''] = match;
  const index = value.length - options.length;
  return { skipped: value.slice(0, match.index), host: first, lastHost, port, options, index };
}

export function parseForwarding(word: string | undefined): Forwarding | Problem {
  if (word === 'gate' || word === 'masq' || word === 'ipip') return word;
  const lower = word?.toLowerCase();
  const known = lower === 'gate' || lower === 'masq' || lower === 'ipip';
  return new Problem(
    'forward method must be gate, masq or ipip',
    known ? `"${lower}" in lower case` : `gate, masq or ipip${word === undefined ? '' : `, not "${word}"`}`,
  );
}

export function parseRealOptions(text: string): RealOptions | Problem {
  const word = /(\w+)(.*)$/s.exec(text);
  const forwarding = parseForwarding(word?.[1]);
  if (forwarding instanceof Problem) return forwarding;

  const found: (RegExpExecArray | undefined)[] = [];
  const lost: [string, string][] = [];
  let left = word?.[2] ?? '';
  for (let match = nextOption(left); match !== undefined; match = nextOption(left)) {
    if (found[match.rank] !== undefined) break;
    for (const rank of [...found.keys()].filter((earlier) => earlier > match.rank)) {
      if (found[rank] !== undefined) lost.push([shown(found[rank]), shown(match.text)]);
      found[rank] = undefined;
    }
    found[match.rank] = match.text;
    left = left.slice(match.text[0].length);
  }
  if (!/^[ \t\r\f\v]*$/.test(left)) {
    return new Problem(
      `Invalid real server line, around "${left}"`,
      'only a weight, "request", "receive", l:N and u:N after the forward method',
    );
  }

  const [weight, check, lower, upper] = found;
  if (Number(weight?.[1] ?? 1) > maxWeight) {
    return new Problem(
      `Invalid real server line, around "${weight?.[0] ?? ''}"`,
      `a weight of at most ${maxWeight}`,
    );
  }
  return {
    forwarding,
    weight: Number(weight?.[1] ?? 1),
    request: check?.[1],
    receive: check?.[2],
    lowerThreshold: Number(lower?.[1] ?? 0),
    upperThreshold: Number(upper?.[1] ?? 0),
    lost,
  };
}

function nextOption(text: string): { rank: number; text: RegExpExecArray } | undefined {
  for (const [rank, { form }] of optionForms.entries()) {
    const match = form.exec(text);
    if (match !== null) return { rank, text: match };
  }
  return undefined;
}

function shown(match: RegExpExecArray): string {
  return match[0].replace(/^[ \t\r\f\v,]+/, '');
}
