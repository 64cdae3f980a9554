/** Reads what `iptables-save` and `ip6tables-save` print, whichever of their two kernels' tables stands behind them. */
import type { Chain, Condition, Hook, Rule, Verdict } from './rules.ts';
import { isInside, isInterface, isOneOf, isPort, unknown } from './match.ts';

const hooks: Readonly<Record<string, Hook>> = {
  PREROUTING: 'prerouting',
  INPUT: 'input',
  FORWARD: 'forward',
  OUTPUT: 'output',
  POSTROUTING: 'postrouting',
};

interface Draft {
  readonly table: string;
  readonly name: string;
  readonly policy: 'accept' | 'drop';
  readonly rules: Rule[];
}

/** @param command `iptables` or `ip6tables`, whose `-save` printed the text */
export function readIptables(text: string, command: 'iptables' | 'ip6tables'): readonly Chain[] {
  const chains: Draft[] = [];
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim();
    const declared = /^:(\S+) (\S+)/.exec(line);
    if (declared !== null) {
      const policy = declared[2] === 'DROP' ? 'drop' : 'accept';
      chains.push({ table, name: declared[1] ?? '', policy, rules: [] });
    }
    const added = /^-A (\S+) (.*)$/.exec(line);
    const chain = chains.findLast((one) => one.table === table && one.name === added?.[1]);
    if (added !== null) chain?.rules.push(readRule(`${command} -t ${table}`, added[1] ?? '', added[2] ?? ''));
  }
  return chains.map((chain) => ({
    ...chain,
    table: `${command} -t ${chain.table}`,
    families: [command === 'iptables' ? 'inet' : 'inet6'],
    hook: hooks[chain.name],
  }));
}

function readRule(table: string, chain: string, text: string): Rule {
  // Quoted text is a comment or a log prefix.
  const words = [...text.matchAll(/"(?:[^"\\]|\\.)*"|\S+/g)].map(([word]) => word);
  const conditions: Condition[] = [];
  let verdict: Verdict = { kind: 'continue' };
  let negated = false;
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i] ?? '';
    const value = words[i + 1] ?? '';
    if (word === '!') {
      negated = true;
      continue;
    }
    if (word === '-j' || word === '-g') {
      verdict = verdictOf(value, word);
      break;
    }
    const condition = conditionOf(word, value, negated);
    if (condition !== undefined) conditions.push(condition);
    negated = false;
    // Every option here has a value, or is followed by the next one.
    while (i + 1 < words.length && !isOption(words[i + 1] ?? '')) i += 1;
  }
  const rule = `${chain} ${text}`;
  return { conditions, verdict, text: `${table} -A ${rule}`, removal: `${table} -D ${rule}` };
}

function isOption(word: string): boolean {
  return word === '!' || /^--?[a-z]/.test(word);
}

/** @returns undefined for words that ask nothing */
function conditionOf(option: string, value: string, negated: boolean): Condition | undefined {
  switch (option) {
    case '-m':
    case '--comment':
      return undefined;
    case '-s':
      return isInside('source', [value], negated);
    case '-d':
      return isInside('destination', [value], negated);
    case '-p':
      return isOneOf('protocol', [value], negated);
    case '-i':
      return isInterface('incoming', value, negated);
    case '-o':
      return isInterface('outgoing', value, negated);
    case '--dport':
    case '--dports':
      return isPort('destinationPort', value.split(','), negated);
    case '--sport':
    case '--sports':
      return isPort('sourcePort', value.split(','), negated);
    case '--state':
    case '--ctstate':
      return isOneOf('state', value.toLowerCase().split(','), negated);
    default:
      return unknown;
  }
}

function verdictOf(target: string, option: '-j' | '-g'): Verdict {
  switch (target) {
    case 'ACCEPT':
      return { kind: 'accept' };
    case 'DROP':
    case 'REJECT':
      return { kind: 'drop' };
    case 'RETURN':
      return { kind: 'return' };
    case 'REDIRECT':
      return { kind: 'redirect' };
  }
  // Our own guard drops on purpose what the engine has taken; a target of an extension is no chain, and is not found.
  if (target.startsWith('DIRECTORD') && target !== 'DIRECTORD-REAL') return { kind: 'continue' };
  return { kind: option === '-g' ? 'goto' : 'jump', chain: target };
}
