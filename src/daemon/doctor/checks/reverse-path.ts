/**
 * Reverse path filtering (RFC 3704): in strict mode (1) the kernel drops a packet that comes in on another interface than
 * the one its sender is reached through. The kernel takes the larger of `conf.all` and `conf.IF`; loose (2) outweighs.
 */
import type { Facts } from '../facts.ts';
import { largerOf, linkNameOf, settingOf, sysctl } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { fail, ok, warn } from '../finding.ts';
import type { Subject } from '../subject.ts';
import { isLoopback } from '../subject.ts';

const strict = 1;

export function reversePath(facts: Facts, subject: Subject): readonly Finding[] {
  if (!subject.isDirector) return [];
  return [...onLoopback(facts, subject), ...onClientsSide(facts)];
}

/** The packet engine puts what is for this host itself on `lo`, with the client's address as its sender. */
function onLoopback(facts: Facts, { served, here }: Subject): readonly Finding[] {
  if (facts.engine !== 'packet') return [];
  const name = 'rp_filter of lo';
  const value = largerOf(facts, 'rp_filter', 'lo');
  if (value !== strict) return [ok(name, `${value}, not strict`)];
  const local = [...served.filter(({ server }) => isLoopback(server.address)), ...here][0];
  const why = `1 (strict${ofAll(facts)}) drops what is forwarded to this host itself`;
  const mend = sysctl('net/ipv4/conf/lo/rp_filter', 2);
  if (local === undefined) return [warn(name, `${why}; no service does so now; expected 0 or 2`, mend)];
  return [fail(name, `${why}, as ${local.server.address} of ${local.name}; expected 0 or 2`, mend)];
}

/** Clients that come in by another interface than the default route's would be dropped. */
function onClientsSide(facts: Facts): readonly Finding[] {
  const links = facts.links.filter(
    ({ loopback, up, name }) => !loopback && up && largerOf(facts, 'rp_filter', name) === strict,
  );
  // What the packet engine forwards never meets the filter: it is captured before.
  if (links.length === 0 || facts.engine !== 'relay')
    return links.length === 0
      ? [ok('rp_filter', 'strict on no interface that is up')]
      : [ok('rp_filter', `strict on ${names(links)}: the ${facts.engine} engine takes packets before it`)];
  const { inet } = facts.outside;
  const default4 = inet && linkNameOf(facts, inet.interfaceIndex);
  const others = links.filter(({ name }) => name !== default4);
  if (others.length === 0)
    return [ok('rp_filter', `strict on ${names(links)}, where the default route leads`)];
  return others.map(({ name }) =>
    warn(
      `rp_filter of ${name}`,
      `1 (strict${ofAll(facts)}): clients beyond its own networks are dropped there, because the route to them is ${default4 === undefined ? 'unknown' : `by ${default4}`}; expected 0 or 2`,
      sysctl(`net/ipv4/conf/${name}/rp_filter`, 2),
    ),
  );
}

function ofAll(facts: Facts): string {
  return settingOf(facts, 'net/ipv4/conf/all/rp_filter') === strict ? ', by conf.all' : '';
}

function names(links: Facts['links']): string {
  return links.map(({ name }) => name).join(', ');
}
