/** `real=` lines with their names looked up, ranges written out, and checks settled. */
import type { Names } from '../util/names.ts';
import type { Address, Family } from '../util/ip.ts';
import { addressBytes, formatAddress, formatEndpoint } from '../util/ip.ts';
import type { RealCheck } from './check-settings.ts';
import { Problem } from './diagnostic.ts';
import type { Report } from './diagnostic.ts';
import type { Written } from './draft.ts';
import { withSlash } from './check-settings.ts';
import { resolveHost, resolvePort, shortAddress } from './host.ts';
import type { Real, Receive } from './model.ts';
import { translatePerlRegex } from './perl-regex.ts';
import { parseRealAddress, parseRealOptions } from './real-line.ts';
import type { RealAddress, RealOptions } from './real-line.ts';

/** More are a slip: no service has so many, and each would be checked. */
const largestRange = 4096;

export interface RealContext {
  readonly family: Family;
  readonly names: Names;
  readonly report: Report;
}

/** A real server whose name is known, still without its check. */
export type NamedReal = RealCheck & Pick<Real, 'at' | 'upperThreshold' | 'lowerThreshold'>;

/** The real servers of one line; none if it has a mistake, which is then reported. */
export async function resolveRealLine(line: Written, context: RealContext): Promise<readonly NamedReal[]> {
  const { report } = context;
  const parsed = parseRealAddress(line.text);
  if (parsed instanceof Problem) return refuse(line, parsed, report);
  const endpoint = await resolveEndpoint(parsed, context);
  if (parsed.skipped !== '') return refuse(line, skippedText(parsed, endpoint), report);
  if (endpoint instanceof Problem) return refuse(line, endpoint, report);
  const options = parseRealOptions(parsed.options);
  if (options instanceof Problem) return refuse(line, options, report, parsed.index);
  const receive = options.receive === undefined ? undefined : ownReceive(options.receive);
  if (receive instanceof Problem) return refuse(line, receive, report, parsed.index);
  warnAbout(line, parsed, options, endpoint.addresses, report);
  return endpoint.addresses.map((address) => ({
    at: line.at,
    address,
    port: endpoint.port,
    forwarding: options.forwarding,
    weight: options.weight,
    upperThreshold: options.upperThreshold,
    lowerThreshold: options.lowerThreshold,
    request: options.request === undefined ? undefined : withSlash(options.request),
    receive,
  }));
}

function refuse(line: Written, problem: Problem, report: Report, index = 0): readonly NamedReal[] {
  report.error(line.atIndex(index), problem.message ?? 'invalid real server line', problem.expected);
  return [];
}

async function resolveEndpoint(
  parsed: RealAddress,
  { family, names }: RealContext,
): Promise<{ addresses: readonly Address[]; port: number } | Problem> {
  const first = await resolveHost(parsed.host, family, names);
  if (first === undefined) {
    return new Problem(
      `invalid address (${parsed.host}) for real server (could not resolve host)`,
      family === 'inet' ? 'an IPv4 address or a name that has one' : '[IPV6-ADDRESS] or a name that has one',
    );
  }
  const port = parsed.port === undefined ? 0 : resolvePort(parsed.port, ['tcp', 'udp'], names);
  if (port === undefined) {
    return new Problem(
      `invalid port (${parsed.port ?? ''}) for real server (could not resolve port)`,
      'a number from 0 to 65535 or a service name',
    );
  }
  if (parsed.lastHost === undefined) return { addresses: [first], port };
  if (family === 'inet6') {
    return new Problem('Address range for IPv6 is not supported yet', 'a real6= line for each server');
  }
  const last = await resolveHost(parsed.lastHost, family, names);
  if (last === undefined) {
    return new Problem(
      `invalid address (${parsed.lastHost}) for real server (could not resolve end host)`,
      'an IPv4 address or a name that has one',
    );
  }
  const addresses = addressRange(first, last);
  return addresses instanceof Problem ? addresses : { addresses, port };
}

function addressRange(first: Address, last: Address): readonly Address[] | Problem {
  const [from, to] = [first, last].map((each) => new DataView(addressBytes(each).buffer).getUint32(0));
  if (from === undefined || to === undefined || from > to) {
    return new Problem(
      `Invalid Range: ${first}-${last}: First value must be greater than or equal to the second value`,
      'the lower address first, both in full, such as 10.2.0.11->10.2.0.13',
    );
  }
  if (to - from >= largestRange) {
    return new Problem(`Invalid Range: ${first}-${last}`, `at most ${largestRange} servers in a range`);
  }
  return Array.from({ length: to - from + 1 }, (_, i) => {
    const value = from + i;
    return formatAddress(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
  });
}

/** ldirectord would quietly use what it could read: `10.2.0.11::80` becomes 0.0.0.80, `my_host` becomes `host`. */
function skippedText({ skipped, host, port }: RealAddress, found: unknown): Problem {
  const colons = /^([\d.]+):+$/.exec(skipped)?.[1];
  const meant =
    colons === undefined
      ? `nothing before the address, where "${skipped}" stands`
      : `one colon before the port: ${colons}:${host}`;
  const read = port === undefined ? host : `${host}:${port}`;
  const message = found instanceof Problem ? found.message : undefined;
  return new Problem(
    message ?? 'invalid address for real server (wrong format)',
    `${meant} (ldirectord would take ${read} for the server)`,
  );
}

function ownReceive(text: string): Receive | 'none' | Problem {
  if (text === '') return 'none';
  const pattern = translatePerlRegex(text);
  return pattern instanceof Problem ? pattern : { text, pattern };
}

function warnAbout(
  line: Written,
  parsed: RealAddress,
  options: RealOptions,
  addresses: readonly Address[],
  report: Report,
): void {
  for (const [lost, by] of options.lost) {
    report.warning(
      line.atIndex(parsed.index),
      `"${lost}" has no effect because "${by}" follows it`,
      'the order WEIGHT "REQUEST" "RECEIVE" l:N u:N',
    );
  }
  if (shortAddress(parsed.host) !== undefined && parsed.host !== addresses[0]) {
    report.warning(line.at, `${parsed.host} is read as the address ${addresses[0] ?? ''}`, 'four numbers');
  }
}

/** Two lines for one entry of the table. Both are checked; whichever is put up last sets the entry. */
export function warnAboutRepeated(reals: readonly NamedReal[], report: Report): void {
  const seen = new Map<string, NamedReal>();
  const told = new Set<number>();
  for (const real of reals) {
    const key = formatEndpoint(real.address, real.port);
    const earlier = seen.get(key);
    seen.set(key, real);
    // one warning a line: a range may repeat many servers
    if (earlier === undefined || told.has(real.at.line)) continue;
    told.add(real.at.line);
    report.warning(
      real.at,
      `real server ${key} is already at line ${earlier.at.line}: they are one entry of the table, and this later line counts (weight ${real.weight}, ${real.forwarding})`,
      'each server once in a virtual service',
    );
  }
}
