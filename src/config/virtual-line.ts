/**
 * What stands behind `virtual=` and `virtual6=`: address and port, or a firewall mark. Only the beginning of the value
 * is looked at, as ldirectord does; what ldirectord would misread as a mark is an error here.
 */
import type { Family } from '../util/ip.ts';
import { Problem } from './diagnostic.ts';

export type VirtualTarget =
  | { readonly kind: 'address'; readonly host: string; readonly port: string; readonly trailing: string }
  | { readonly kind: 'mark'; readonly mark: number; readonly trailing: string };

const named = /^([0-9A-Za-z._+-]+):([0-9A-Za-z_-]+)/;
const bracketed = /^(\[[0-9A-Fa-f:]+\]):([0-9A-Za-z_-]+)/;
const maxMark = 0xffffffff;

export function parseVirtualLine(value: string, family: Family): VirtualTarget | Problem {
  const byName = named.exec(value);
  if (byName !== null) return target(byName, value);
  const digits = /^\d+/.exec(value)?.[0];
  if (digits !== undefined) return firewallMark(digits, value.slice(digits.length));
  const byAddress = bracketed.exec(value);
  if (byAddress === null) return new Problem('invalid address for virtual server', wanted(value, family));
  if (family === 'inet6') return target(byAddress, value);
  return new Problem(
    'cannot specify an IPv6 address here. please use "virtual6" instead.',
    `virtual6=${byAddress[0]}`,
  );
}

function target(match: RegExpExecArray, value: string): VirtualTarget {
  const [whole, host = '', port = ''] = match;
  return { kind: 'address', host, port, trailing: value.slice(whole.length) };
}

function firewallMark(digits: string, trailing: string): VirtualTarget | Problem {
  if (/^[.:/]/.test(trailing)) {
    const [address = ''] = /^[\d.]+/.exec(digits + trailing) ?? [];
    return new Problem(
      'invalid address for virtual server',
      `an address with a port directly behind it, such as ${address}:80 (ldirectord would take ${digits} for a firewall mark)`,
    );
  }
  const mark = Number(digits);
  if (mark > maxMark) {
    return new Problem('invalid address for virtual server', `a firewall mark of at most ${maxMark}`);
  }
  return { kind: 'mark', mark, trailing };
}

function wanted(value: string, family: Family): string {
  const form = family === 'inet' ? 'ADDRESS:PORT, NAME:PORT' : '[ADDRESS]:PORT, NAME:PORT';
  if (value.startsWith('"')) return `${form} or a firewall mark, without quotes`;
  return `${form} or a firewall mark`;
}
