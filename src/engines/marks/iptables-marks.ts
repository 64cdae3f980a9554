/** Reads the rules that set firewall marks from what iptables-save and ip6tables-save print. */
import { canonicalAddress, familyOf } from '../../util/ip.ts';
import { addressWords } from '../address-words.ts';
import type { HookDraft, ParsedMarkRules, RuleDraft } from './mark-chain.ts';
import { linkChains } from './mark-chain.ts';
import type { AddressSpan, MarkMatch, Range, Side } from './mark-matches.ts';
import {
  matchAddresses,
  matchInterfaces,
  matchMark,
  matchPorts,
  matchProtocols,
  prefixMask,
} from './mark-matches.ts';
import { numberedProtocol } from './mark-values.ts';

const tooLate = 'only marks that PREROUTING of raw or mangle sets are known in time';

/** Where a packet for this host passes, and what each hook is to us. */
const hooks: readonly (Pick<HookDraft, 'priority' | 'tooLate'> & { table: string; chain: string })[] = [
  { table: 'raw', chain: 'PREROUTING', priority: -300 },
  { table: 'mangle', chain: 'PREROUTING', priority: -150 },
  { table: 'nat', chain: 'PREROUTING', priority: -100, tooLate },
  { table: 'mangle', chain: 'INPUT', priority: -150, tooLate },
  { table: 'filter', chain: 'INPUT', priority: 0, tooLate },
  { table: 'security', chain: 'INPUT', priority: 50, tooLate },
  { table: 'nat', chain: 'INPUT', priority: 100, tooLate },
];

/** Modules whose options we know, or that only name a protocol. */
const knownModules = new Set(['tcp', 'udp', 'sctp', 'icmp', 'icmp6', 'multiport', 'mark', 'comment']);

/** Targets that give a packet a mark in ways that the rule does not tell. */
const markingTargets = new Set(['CONNMARK', 'HMARK', 'SET', 'BPF', 'TPROXY']);

/** `-j` targets that end the walk through a packet filter. */
const verdicts = { ACCEPT: 'accept', DROP: 'drop', RETURN: 'return' } as const;

/** @param saveText output of iptables-save (family 4) or ip6tables-save (6), with any of its tables */
export function parseMarkRules(saveText: string, family: 4 | 6 = 4): ParsedMarkRules {
  const chains = new Map<string, RuleDraft[]>();
  let table = '';
  for (const line of saveText.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim();
    else if (line.startsWith(':')) chains.set(`${table} ${line.slice(1).split(' ', 1)[0] ?? ''}`, []);
    else {
      // Counters of iptables-save -c.
      const text = line.replace(/^\[\d+:\d+\] /, '');
      if (!text.startsWith('-A ')) continue;
      const [, chain = '', ...options] = tokens(text);
      chains.get(`${table} ${chain}`)?.push(...readRule(text, table, family, options));
    }
  }
  const drafts = hooks.map(({ table, chain, ...hook }) => ({
    ...hook,
    name: `${table} ${chain}`,
    families: [family],
    chain: `${table} ${chain}`,
  }));
  return linkChains(drafts, chains);
}

/** Words of a rule; quoted ones (comments) with `\"` and `\\` inside. */
function tokens(text: string): readonly string[] {
  return [...text.matchAll(/"((?:\\.|[^"\\])*)"|(\S+)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '') : quoted.replace(/\\(.)/g, '$1'),
  );
}

/** @returns nothing when the rule has no influence on marks */
function readRule(
  text: string,
  table: string,
  family: 4 | 6,
  options: readonly string[],
): readonly RuleDraft[] {
  const matches: MarkMatch[] = [];
  let target = '';
  let goesTo = false;
  let unknown: string | undefined;
  const arguments_ = new Map<string, string>();
  for (let i = 0, negated = false; i < options.length; i++) {
    const option = options[i] ?? '';
    if (option === '!') {
      negated = true;
      continue;
    }
    if (option.startsWith('-')) {
      const value = options[i + 1] ?? '';
      if (option === '-j' || option === '-g') {
        [target, goesTo] = [value, option === '-g'];
      } else if (target !== '') arguments_.set(option, value);
      else if (option === '-m') unknown ??= knownModules.has(value) ? undefined : `-m ${value}`;
      else if (option !== '--comment') {
        const match = readMatch(option, value, negated, family);
        if (match === undefined) unknown ??= `${negated ? '! ' : ''}${option} ${value}`.trim();
        else matches.push(match);
      }
      // A value may look like an option (a comment).
      if (option === '-m' || option === '--comment') i++;
    }
    negated = false;
  }
  const action = actionOf(table, target, goesTo, arguments_);
  return action === undefined ? [] : [{ text, matches, action, unknown }];
}

function actionOf(
  table: string,
  target: string,
  goesTo: boolean,
  options: ReadonlyMap<string, string>,
): RuleDraft['action'] | undefined {
  if (target === 'MARK') return markAction(options) ?? { kind: 'some mark' };
  if (markingTargets.has(target)) return marksPacket(target, options) ? { kind: 'some mark' } : undefined;
  if (target in verdicts) return { kind: verdicts[target as keyof typeof verdicts] };
  // Chains of the user; the names of extensions are not among the chains.
  return target === '' ? undefined : { kind: goesTo ? 'goto' : 'jump', chain: `${table} ${target}` };
}

/** Bits of mask are taken out before value goes in; which is what tells --set-mark from --set-xmark. */
function markAction(options: ReadonlyMap<string, string>): RuleDraft['action'] | undefined {
  for (const [option, text] of options) {
    const [value, mask = 0xffffffff] = text.split('/').map(Number);
    if (value === undefined || !isMark(value) || !isMark(mask)) return undefined;
    if (option === '--set-xmark') return { kind: 'mark', keep: ~mask, flip: value | 0 };
    if (option === '--set-mark') return { kind: 'mark', keep: ~(mask | value), flip: value | 0 };
    if (option === '--and-mark') return { kind: 'mark', keep: value | 0, flip: 0 };
    if (option === '--or-mark') return { kind: 'mark', keep: ~value, flip: value | 0 };
    if (option === '--xor-mark') return { kind: 'mark', keep: -1, flip: value | 0 };
  }
  return undefined;
}

/** CONNMARK, SET and TPROXY do other things too. */
function marksPacket(target: string, options: ReadonlyMap<string, string>): boolean {
  if (target === 'CONNMARK') return options.has('--restore-mark');
  if (target === 'SET') return options.has('--map-mark');
  if (target === 'TPROXY') return options.has('--tproxy-mark');
  return true;
}

function readMatch(option: string, value: string, negated: boolean, family: 4 | 6): MarkMatch | undefined {
  switch (option) {
    case '-s':
      return addressMatch('source', value, negated, family);
    case '-d':
      return addressMatch('destination', value, negated, family);
    case '-p': {
      const number = numberedProtocol(value);
      return number === undefined ? undefined : matchProtocols([number], negated);
    }
    case '-i':
      return matchInterfaces([value], '+', negated);
    case '--sport':
    case '--sports':
      return portMatch('source', value, negated);
    case '--dport':
    case '--dports':
      return portMatch('destination', value, negated);
    case '--ports':
      return portMatch('either', value, negated);
    case '--mark': {
      const [mark, mask = 0xffffffff] = value.split('/').map(Number);
      if (mark === undefined || !isMark(mark) || !isMark(mask)) return undefined;
      return matchMark([mark], mask, negated);
    }
    default:
      return undefined;
  }
}

/** `10.1.0.0/16`, `10.0.1.0/255.0.255.0`, `2001:db8::/32`, an address alone. */
function addressMatch(side: Side, text: string, negated: boolean, family: 4 | 6): MarkMatch | undefined {
  const [addressText = '', maskText = family === 4 ? '32' : '128'] = text.split('/');
  const address = canonicalAddress(addressText);
  if (address === undefined || (familyOf(address) === 'inet' ? 4 : 6) !== family) return undefined;
  const span = spanOf(address, maskText);
  return span && matchAddresses(side, [span], negated);
}

function spanOf(address: string, maskText: string): AddressSpan | undefined {
  if (/^\d+$/.test(maskText)) return { address, mask: prefixMask(Number(maskText)) };
  const mask = canonicalAddress(maskText);
  return mask === undefined ? undefined : { address, mask: addressWords(mask).words };
}

/** `80`, `1:1024`, `80,443,8000:8080`. */
function portMatch(side: Side | 'either', text: string, negated: boolean): MarkMatch | undefined {
  const ranges = text.split(',').map((part): Range<number> => {
    const [from = Number.NaN, to = from] = part
      .split(':')
      .map((port) => (port === '' ? Number.NaN : Number(port)));
    return [from, to];
  });
  if (!ranges.every(([from, to]) => Number.isInteger(from) && Number.isInteger(to))) return undefined;
  return matchPorts(side, ranges, negated);
}

function isMark(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}
