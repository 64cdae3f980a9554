/**
 * Where this program reads a configuration otherwise than the recorded ldirectord, and why. Each entry is recognised by
 * the text of the configuration, so that it also covers recordings made later.
 */
export interface Difference {
  /** `refused`: only here an error; `accepted`: only here fine; `values`: fine in both, with another meaning. */
  readonly effect: 'refused' | 'accepted' | 'values';
  readonly text: RegExp;
  readonly reason: string;
}

const deliberateDifferences: readonly Difference[] = [
  {
    effect: 'refused',
    text: /^virtual6?\s*=\s*\d+[.:/]/m,
    reason: 'an address without a port would become a firewall mark: 10.1.0.100 is mark 10',
  },
  {
    effect: 'refused',
    text: /^virtual6?\s*=\s*(?:4294967296|\d{11,})/m,
    reason: 'a firewall mark has 32 bits',
  },
  {
    effect: 'refused',
    text: /^ +real6?\s*=[^\n]*(?:::\d|:\d+:\d+|->.*->|->:|\d:\d+->|=->|=my_|=[x,]+[\d[]|\]:\d+ gate)/m,
    reason: 'text before the part that looks like an address is skipped: 10.2.0.11::80 becomes 0.0.0.80',
  },
  {
    effect: 'refused',
    text: /^ +real=\S+ (?:gate|masq|ipip)\b.*(?:garbage| x "|"a" 5|"\/a" (?:5|l:)|\d{11,})/m,
    reason: 'what is not understood in a real server line is skipped when something understood follows it',
  },
  {
    effect: 'refused',
    text: /^ *(?:check(?:interval|timeout|count)|negotiatetimeout|failurecount)\s*=00$/m,
    reason: '00 is zero: no pause, no time or no attempt',
  },
  {
    effect: 'refused',
    text: /^ +netmask=.*(?:256|999)/m,
    reason: 'a number over 255 in a netmask makes ipvsadm refuse the service',
  },
  {
    effect: 'refused',
    text: /(?:receive=|",)"(?:\(|\*|a\{2,1\})/,
    reason: 'a pattern that is no regular expression never matches',
  },
  {
    effect: 'refused',
    text: /^virtual=(?:07|10\.1\.0\.100:080)$/m,
    reason: 'leading zeros make another name for the same service',
  },
  {
    effect: 'accepted',
    text: /^ +[^#\n]*"[^"\n]*#[^"\n]*"/m,
    reason: 'a # within quotes begins no comment',
  },
  {
    effect: 'accepted',
    text: /^virtual6?=.*\n(?:[a-z].*\n)*?(?:real|protocol|service|scheduler|request)=/m,
    reason: 'a section without indentation, as web pages show it, is read with a warning',
  },
  {
    effect: 'accepted',
    text: /^ *(?:tlsverify|proxyprotocol) *=/m,
    reason: 'directives of our own',
  },
  {
    effect: 'values',
    text: /^ +real=\S+ (?:gate|masq|ipip)[^"\n]* "\/[^"\n]*"/m,
    reason: 'a request of a real server that begins with / keeps its receive and thresholds',
  },
  {
    effect: 'values',
    text: /^fallback6?=[^]*^virtual6?=\d+[ \t]*$|^virtual6?=\d+[ \t]*$[^]*^fallback6?=/m,
    reason: 'a global fallback also serves firewall marks',
  },
  {
    effect: 'values',
    text: /^ +persistent=0+$/m,
    reason: 'persistent=0 is not persistent; ipvsadm refuses -p 0 and the service with it',
  },
  {
    effect: 'values',
    text: /=\s*0\d|:0\d| 00\d/,
    reason: 'numbers are numbers: leading zeros are gone from check ids',
  },
];

export function differenceIn(config: string, effect: Difference['effect']): Difference | undefined {
  return deliberateDifferences.find((each) => each.effect === effect && each.text.test(config));
}
