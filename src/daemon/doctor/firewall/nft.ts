/** Reads what `nft -j list ruleset` prints. Named sets, maps and expressions of rarer kinds stay unknown. */
import type { Chain, Condition, Field, Hook, Rule, Verdict } from './rules.ts';
import { isInside, isInterface, isOneOf, isPort, unknown } from './match.ts';

type Json = unknown;
type Fields = Readonly<Record<string, Json>>;

const families: Readonly<Record<string, Chain['families']>> = {
  ip: ['inet'],
  ip6: ['inet6'],
  inet: ['inet', 'inet6'],
};

/**
 * @param skip tables that are known from elsewhere or of our own
 * @throws SyntaxError for what is not JSON
 */
export function readNft(text: string, skip: (family: string, table: string) => boolean): readonly Chain[] {
  const items = list(fieldsOf(JSON.parse(text))['nftables']).map(fieldsOf);
  const rules = items.flatMap((item) => ('rule' in item ? [fieldsOf(item['rule'])] : []));
  return items.flatMap((item) => {
    if (!('chain' in item)) return [];
    const chain = fieldsOf(item['chain']);
    const [family, table, name] = [word(chain['family']), word(chain['table']), word(chain['name'])];
    const concerned = families[family];
    if (concerned === undefined || skip(family, table)) return [];
    const own = rules.filter(
      (rule) => rule['family'] === family && rule['table'] === table && rule['chain'] === name,
    );
    return [
      {
        table: `nft ${family} ${table}`,
        families: concerned,
        name,
        hook: hookOf(word(chain['hook'])),
        policy: chain['policy'] === 'drop' ? 'drop' : 'accept',
        rules: own.map((rule) => readRule(rule, `${family} ${table} ${name}`)),
      } satisfies Chain,
    ];
  });
}

const hooks: readonly Hook[] = ['prerouting', 'input', 'forward', 'output', 'postrouting'];

function hookOf(name: string): Hook | undefined {
  return hooks.find((hook) => hook === name);
}

function readRule(rule: Fields, chain: string): Rule {
  const handle = word(rule['handle']);
  const conditions: Condition[] = [];
  let verdict: Verdict = { kind: 'continue' };
  for (const expression of list(rule['expr']).map(fieldsOf)) {
    const [kind = ''] = Object.keys(expression);
    const found = verdictOf(kind, fieldsOf(expression[kind]));
    if (found !== undefined) verdict = found;
    else if (kind === 'match') conditions.push(...conditionsOf(fieldsOf(expression['match'])));
    else if (!silent.includes(kind)) conditions.push(unknown);
  }
  return {
    conditions,
    verdict,
    text: `nft rule ${chain} handle ${handle}`,
    removal: `nft delete rule ${chain} handle ${handle}`,
  };
}

/** Expressions that ask nothing and end nothing. */
const silent = [
  'counter',
  'log',
  'mangle',
  'notrack',
  'ct helper',
  'ct timeout',
  'quota',
  'dup',
  'set',
  'flow',
];

function verdictOf(kind: string, value: Fields): Verdict | undefined {
  switch (kind) {
    case 'accept':
    case 'drop':
    case 'return':
    case 'continue':
    case 'redirect':
      return { kind };
    case 'reject':
      return { kind: 'drop' };
    case 'jump':
    case 'goto':
      return { kind, chain: word(value['target']) };
    default:
      return undefined;
  }
}

/** The question, and what it takes for granted: a TCP port is asked of TCP packets only. */
function conditionsOf(match: Fields): readonly Condition[] {
  const header = word(fieldsOf(fieldsOf(match['left'])['payload'])['protocol']);
  const asked = conditionOf(match);
  if (header === 'ip' || header === 'ip6')
    return [isOneOf('family', [header === 'ip' ? 'inet' : 'inet6'], false), asked];
  if (['', 'th', 'ether', 'vlan', 'arp'].includes(header)) return [asked];
  return [isOneOf('protocol', [header], false), asked];
}

function conditionOf({ op, left, right }: Fields): Condition {
  const negated = op === '!=';
  if (!negated && op !== '==' && op !== 'in') return unknown;
  const values = valuesOf(right);
  const [kind, field] = fieldOf(fieldsOf(left));
  if (values === undefined || field === undefined) return unknown;
  switch (kind) {
    case 'address':
      return isInside(field, values, negated);
    case 'port':
      return isPort(field, values, negated);
    case 'interface':
      return values.length === 1
        ? isInterface(field, values[0] ?? '', negated)
        : isOneOf(field, values, negated);
    case 'word':
      return isOneOf(field, values, negated);
    default:
      return unknown;
  }
}

const payloads: Readonly<Record<string, readonly [kind: string, field: Field]>> = {
  saddr: ['address', 'source'],
  daddr: ['address', 'destination'],
  sport: ['port', 'sourcePort'],
  dport: ['port', 'destinationPort'],
  protocol: ['word', 'protocol'],
  nexthdr: ['word', 'protocol'],
};

const metas: Readonly<Record<string, readonly [kind: string, field: Field]>> = {
  l4proto: ['word', 'protocol'],
  iifname: ['interface', 'incoming'],
  iif: ['interface', 'incoming'],
  oifname: ['interface', 'outgoing'],
  oif: ['interface', 'outgoing'],
};

function fieldOf(left: Fields): readonly [kind: string, field: Field | undefined] {
  const nothing = ['', undefined] as const;
  if ('payload' in left) return payloads[word(fieldsOf(left['payload'])['field'])] ?? nothing;
  if ('meta' in left) return metas[word(fieldsOf(left['meta'])['key'])] ?? nothing;
  if ('ct' in left && fieldsOf(left['ct'])['key'] === 'state') return ['word', 'state'];
  return nothing;
}

/** @returns undefined when some of them are not told here, as those of a named set */
function valuesOf(right: Json): readonly string[] | undefined {
  if (typeof right === 'number') return [String(right)];
  if (typeof right === 'string') return right.startsWith('@') ? undefined : [right];
  if (Array.isArray(right)) return allOf(right);
  const fields = fieldsOf(right);
  if ('set' in fields) return allOf(list(fields['set']));
  if ('prefix' in fields) {
    const { addr, len } = fieldsOf(fields['prefix']);
    return [`${word(addr)}/${word(len)}`];
  }
  if ('range' in fields) {
    const ends = list(fields['range']).map(word);
    // Ranges of addresses are rare, and no prefix.
    return ends.every((end) => /^\d+$/.test(end)) ? [ends.join(':')] : undefined;
  }
  return undefined;
}

function allOf(values: readonly Json[]): readonly string[] | undefined {
  const all = values.map(valuesOf);
  return all.includes(undefined) ? undefined : all.flatMap((one) => one ?? []);
}

function fieldsOf(value: Json): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function list(value: Json): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function word(value: Json): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
