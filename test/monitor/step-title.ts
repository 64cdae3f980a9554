/** What a step did to the real servers, as its title says it: `rs1+rs3 down`, `both up`, `rs1 404 (still connectable)`. */

/** `ill`: takes connections and answers, but not what the check wants. `blinks`: down for two checks. */
export type Condition = 'well' | 'down' | 'ill' | 'hangs' | 'blinks';

const conditions: ReadonlyMap<string, Condition> = new Map([
  ['up', 'well'],
  ['ok', 'well'],
  ['down', 'down'],
  ['dead', 'down'],
  ['check fails', 'down'],
  ['404', 'ill'],
  ['content mismatch', 'ill'],
  ['hangs', 'hangs'],
  ['short outage', 'blinks'],
]);

const everyServer = ['rs1', 'rs2', 'rs3'];

const sentence = new RegExp(
  `\\b(rs\\d(?:\\+rs\\d)*|all|both)\\b.*?\\b(${[...conditions.keys()].join('|')})\\b`,
);

/** The servers whose condition changes; empty when the title speaks of none. */
export function serversIn(title: string): ReadonlyMap<string, Condition> {
  const [, who = '', what = ''] = sentence.exec(title === 'up' ? 'all up' : title) ?? [];
  const condition = conditions.get(what);
  if (condition === undefined) return new Map();
  const servers = who === 'all' || who === 'both' ? everyServer : who.split('+');
  return new Map(servers.map((server) => [server, condition]));
}

/** `rs1` for 10.2.0.11 and 2001:db8:2::11; undefined where no host is. */
export function serverAt(address: string): string | undefined {
  const number = /^(?:10\.2\.0\.|2001:db8:2::)1([1-3])$/.exec(address)?.[1];
  return number === undefined ? undefined : `rs${number}`;
}
