/** Reads the rules that set firewall marks from what `nft -j list ruleset` prints (libnftables-json(5)). */
import { canonicalAddress, familyOf } from '../../util/ip.ts';
import type { HookDraft, ParsedMarkRules, RuleDraft } from './mark-chain.ts';
import { linkChains } from './mark-chain.ts';
import type { AddressSpan, MarkMatch, Range, Side } from './mark-matches.ts';
import {
  matchAddresses,
  matchFamily,
  matchInterfaces,
  matchMark,
  matchPorts,
  matchProtocols,
  prefixMask,
} from './mark-matches.ts';
import { numberedProtocol } from './mark-values.ts';

type Json = Readonly<Record<string, unknown>>;

const families: Readonly<Record<string, readonly (4 | 6)[]>> = {
  ip: [4],
  ip6: [6],
  inet: [4, 6],
  netdev: [4, 6],
};

/** Statements that change neither mark nor way of a packet. */
const harmless = new Set('counter,log,notrack,dup,mangle,ct helper,ct timeout,set,map,flow'.split(','));

/** Targets of iptables, in a table that iptables itself no longer understands. */
const markingTargets = new Set(['MARK', 'CONNMARK', 'HMARK', 'SET', 'TPROXY']);

const elsewhere = 'only marks that a filter chain in the hook prerouting sets are known';

/**
 * @param json output of `nft -j list ruleset`
 * @param known tables (`ip mangle`) that iptables-save shows: they are read there
 */
export function parseNftMarkRules(json: string, known: ReadonlySet<string>): ParsedMarkRules {
  const hooks: HookDraft[] = [];
  const chains = new Map<string, RuleDraft[]>();
  const sets = new Map<string, readonly unknown[] | undefined>();
  for (const item of list(record(JSON.parse(json))['nftables']).map(record)) {
    const [kind = '', value] = Object.entries(item)[0] ?? [];
    const entry = record(value);
    const [family, name] = [String(entry['family']), String(entry['name'])];
    const table = `${family} ${kind === 'table' ? name : String(entry['table'])}`;
    const of = families[family];
    if (of === undefined || known.has(table)) continue;
    if (kind === 'set' || kind === 'map') sets.set(`${table} ${name}`, staticElements(entry));
    else if (kind === 'chain') {
      chains.set(`${table} ${name}`, []);
      const hook = hookOf(entry, `${table} ${name}`, of);
      if (hook !== undefined) hooks.push(hook);
    } else if (kind === 'rule') {
      const chain = `${table} ${String(entry['chain'])}`;
      chains.get(chain)?.push(...readRule(entry, table, chain, sets));
    }
  }
  return linkChains(hooks, chains);
}

function hookOf(chain: Json, name: string, of: readonly (4 | 6)[]): HookDraft | undefined {
  const { hook, prio, type } = chain;
  if (hook !== 'prerouting' && hook !== 'input' && hook !== 'ingress') return undefined;
  const draft = { name, families: of, priority: Number(prio), chain: name };
  return hook === 'prerouting' && type === 'filter' ? draft : { ...draft, tooLate: elsewhere };
}

/** A set that packets or timers change tells nothing. */
function staticElements(set: Json): readonly unknown[] | undefined {
  const flags = list(set['flags']);
  return flags.includes('dynamic') || flags.includes('timeout') ? undefined : list(set['elem']).map(bare);
}

/** One draft for each thing that a rule does; its conditions are those before that statement. */
function readRule(
  rule: Json,
  table: string,
  chain: string,
  sets: ReadonlyMap<string, readonly unknown[] | undefined>,
): readonly RuleDraft[] {
  const { handle, comment } = rule;
  const text =
    `rule with handle ${String(handle)} of nft chain ${chain}` +
    (typeof comment === 'string' ? ` (${comment})` : '');
  const drafts: RuleDraft[] = [];
  const matches: MarkMatch[] = [];
  let unknown: string | undefined;
  for (const statement of list(rule['expr']).map(record)) {
    const [kind = '', value] = Object.entries(statement)[0] ?? [];
    const elements = (right: unknown): readonly unknown[] | undefined =>
      typeof right === 'string' && right.startsWith('@')
        ? sets.get(`${table} ${right.slice(1)}`)
        : (optionalList(record(right)['set']) ?? [right]).map(bare);
    if (kind === 'match') {
      const match = readMatch(record(value), elements);
      if (match === undefined) unknown ??= brief(statement);
      else matches.push(...match);
      continue;
    }
    const actions =
      kind === 'vmap' ? verdictsOf(elements(record(value)['data']), table) : [actionOf(kind, value, table)];
    if (kind === 'vmap') unknown ??= 'a verdict map';
    for (const action of actions) {
      if (action !== undefined) drafts.push({ text, matches: [...matches], action, unknown });
    }
    if (actions.some((action) => action !== undefined)) continue;
    if (!harmless.has(kind)) unknown ??= brief(statement);
  }
  // What a later part of the rule sees is not what its condition saw.
  const changed = drafts.filter(({ action }) => action.kind === 'mark').length;
  return changed > 0 && drafts.length > 1 && looksAtMark(rule)
    ? drafts.map((draft) => ({
        ...draft,
        unknown: draft.unknown ?? 'a rule that asks for the mark and does two things',
      }))
    : drafts;
}

function looksAtMark(rule: Json): boolean {
  return JSON.stringify(list(rule['expr']).map((statement) => record(statement)['match'])).includes(
    '{"key":"mark"}',
  );
}

function actionOf(kind: string, value: unknown, table: string): RuleDraft['action'] | undefined {
  switch (kind) {
    case 'accept':
    case 'drop':
    case 'return':
      return { kind };
    case 'reject':
      return { kind: 'drop' };
    case 'jump':
    case 'goto':
      return { kind, chain: `${table} ${String(record(value)['target'])}` };
    case 'mangle': {
      const { key, value: mark } = record(value);
      return metaKey(key) === 'mark' ? (markAction(mark) ?? { kind: 'some mark' }) : undefined;
    }
    case 'xt': {
      const { type, name } = record(value);
      return type === 'target' && markingTargets.has(String(name)) ? { kind: 'some mark' } : undefined;
    }
    default:
      return undefined;
  }
}

/** What the packets that a verdict map knows may meet; of a map that changes, only that some are accepted. */
function verdictsOf(elements: readonly unknown[] | undefined, table: string): readonly RuleDraft['action'][] {
  if (elements === undefined) return [{ kind: 'accept' }];
  return elements.flatMap((element) => {
    const [kind = '', value] = Object.entries(record(list(element)[1]))[0] ?? [];
    return actionOf(kind, value, table) ?? [];
  });
}

/** A number, or the mark itself with some bits changed. */
function markAction(value: unknown): RuleDraft['action'] | undefined {
  if (typeof value === 'number') return { kind: 'mark', keep: 0, flip: value | 0 };
  const [operator, operands] = Object.entries(record(value))[0] ?? [];
  const [left, right] = list(operands);
  if (metaKey(left) !== 'mark' || typeof right !== 'number') return undefined;
  if (operator === '|') return { kind: 'mark', keep: ~right, flip: right | 0 };
  if (operator === '&') return { kind: 'mark', keep: right | 0, flip: 0 };
  return operator === '^' ? { kind: 'mark', keep: -1, flip: right | 0 } : undefined;
}

function readMatch(
  { op, left, right }: Json,
  elements: (right: unknown) => readonly unknown[] | undefined,
): readonly MarkMatch[] | undefined {
  if (op !== '==' && op !== '!=') return undefined;
  const negated = op === '!=';
  const values = elements(right);
  if (values === undefined) return undefined;
  const { protocol, field } = record(record(left)['payload']);
  if (typeof protocol === 'string' && typeof field === 'string') {
    return payloadMatch(protocol, field, values, negated);
  }
  const [masked, mask] = list(record(left)['&']);
  const key = metaKey(left) ?? metaKey(masked);
  if (key === 'mark') {
    const marks = values.filter((value) => typeof value === 'number');
    if (marks.length !== values.length) return undefined;
    return [matchMark(marks, typeof mask === 'number' ? mask : 0xffffffff, negated)];
  }
  if (masked !== undefined) return undefined;
  if (key === 'l4proto') return protocolMatch(values, negated);
  if (key === 'nfproto' && values.length === 1 && (right === 'ipv4' || right === 'ipv6')) {
    return [matchFamily((right === 'ipv4') === !negated ? 4 : 6)];
  }
  // An index (iif) is printed as the name that the interface has now.
  if (key === 'iifname' || key === 'iif') return [matchInterfaces(values.map(String), '*', negated)];
  return undefined;
}

function payloadMatch(
  protocol: string,
  field: string,
  values: readonly unknown[],
  negated: boolean,
): readonly MarkMatch[] | undefined {
  if (protocol === 'ip' || protocol === 'ip6') {
    const family = protocol === 'ip' ? 4 : 6;
    if (protocol === 'ip' && field === 'protocol') {
      const match = protocolMatch(values, negated);
      return match && [matchFamily(4), ...match];
    }
    const side = field === 'saddr' ? 'source' : field === 'daddr' ? 'destination' : undefined;
    const spans = all(values.map((value) => addressSpan(value, family)));
    return side && spans && [matchFamily(family), matchAddresses(side, spans, negated)];
  }
  const side: Side | undefined = field === 'sport' ? 'source' : field === 'dport' ? 'destination' : undefined;
  const ranges = all(values.map(portRange));
  if (side === undefined || ranges === undefined) return undefined;
  const ports = matchPorts(side, ranges, negated);
  if (protocol === 'th') return [ports];
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') return undefined;
  return [...(protocolMatch([protocol], false) ?? []), ports];
}

function protocolMatch(values: readonly unknown[], negated: boolean): readonly MarkMatch[] | undefined {
  const numbers = all(values.map((value) => numberedProtocol(String(value))));
  return numbers && [matchProtocols(numbers, negated)];
}

function addressSpan(value: unknown, family: 4 | 6): AddressSpan | undefined {
  const read = (text: unknown): string | undefined => {
    const address = typeof text === 'string' ? canonicalAddress(text) : undefined;
    return address !== undefined && (familyOf(address) === 'inet' ? 4 : 6) === family ? address : undefined;
  };
  const { prefix, range } = record(value);
  if (range !== undefined) {
    const [from, to] = list(range).map(read);
    return from === undefined || to === undefined ? undefined : { from, to };
  }
  const { addr = value, len = family === 4 ? 32 : 128 } = record(prefix);
  const address = read(addr);
  return address === undefined ? undefined : { address, mask: prefixMask(Number(len)) };
}

function portRange(value: unknown): Range<number> | undefined {
  const [from = value, to = from] = list(record(value)['range']);
  return typeof from === 'number' && typeof to === 'number' ? [from, to] : undefined;
}

function metaKey(value: unknown): string | undefined {
  const { key } = record(record(value)['meta']);
  return typeof key === 'string' ? key : undefined;
}

/** Without the comment, counter or timeout that an element of a set may have. */
function bare(element: unknown): unknown {
  return record(record(element)['elem'])['val'] ?? element;
}

function brief(statement: Json): string {
  const text = JSON.stringify(statement);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function all<Value>(values: readonly (Value | undefined)[]): readonly Value[] | undefined {
  const present = values.filter((value) => value !== undefined);
  return present.length === values.length ? present : undefined;
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function optionalList(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

const list = (value: unknown): readonly unknown[] => optionalList(value) ?? [];
