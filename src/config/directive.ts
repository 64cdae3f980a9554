/** How one directive of ldirectord.cf is read: from a value into a field of the draft. */
import { Problem } from './diagnostic.ts';
import type { Report } from './diagnostic.ts';
import type { CommonDraft, Written } from './draft.ts';
import { parseEmailStatus } from './email-status.ts';
import { parseFallbackLine } from './fallback-line.ts';
import type { FileProbes } from './file-probes.ts';
import { parseFlapDamping } from './flap-damping.ts';
import { leadingNumber, matching, oneOf, positive, rest, then, yesNo } from './values.ts';
import type { Parser } from './values.ts';

/** What a directive may use besides its value. */
export interface ReadContext {
  readonly report: Report;
  readonly probes: FileProbes;
  /** Name of this host, for default logins. */
  readonly hostname: string;
}

/** Reads one value into the draft, or says what is wrong with it. */
export type Directive<Draft> = (value: Written, draft: Draft, context: ReadContext) => Problem | undefined;

/** Sets one field to what the parser makes of the text. */
export function field<Draft, Key extends keyof Draft>(
  key: Key,
  parse: Parser<NonNullable<Draft[Key]>>,
): Directive<Draft> {
  return (value, draft) => {
    const parsed = parse(value.text);
    if (parsed instanceof Problem) return parsed;
    draft[key] = parsed;
    return undefined;
  };
}

/** A directive that is gone. */
export function retired(message: string, instead: string): Directive<unknown> {
  return () => new Problem(message, instead);
}

/** As {@link field}, with a warning each time. */
export function deprecated<Draft>(directive: Directive<Draft>, message: string): Directive<Draft> {
  return (value, draft, context) => {
    const problem = directive(value, draft, context);
    if (problem === undefined) context.report.warning(value.at, message);
    return problem;
  };
}

const seconds = 'a whole number of seconds';
const addresses = /^(?:"([^"]*)"|(.*))$/s;
const noAddress = 'no email address specified';

/** `"list"` or `list`. Only quotes around all of it are taken off. */
const emailAddresses: Parser<string> = then(rest(noAddress, 'one or more addresses'), (text) => {
  const [, inside, bare] = addresses.exec(text) ?? [];
  const list = inside ?? bare ?? '';
  return list === '' ? new Problem(noAddress, 'one or more addresses') : list;
});

function fallback(key: 'fallback' | 'fallback6'): Directive<CommonDraft> {
  return (value, draft) => {
    const parsed = parseFallbackLine(value.text, value.at);
    if (parsed instanceof Problem) return parsed;
    draft[key] = parsed;
    return undefined;
  };
}

/** The directives that mean the same globally and in a section. Messages of the counts differ between the two. */
export const commonDirectives: readonly (readonly [string, Directive<CommonDraft>])[] = [
  ['quiescent', field('quiescent', yesNo('quiescent'))],
  ['cleanstop', field('cleanstop', yesNo('cleanstop'))],
  ['emailalert', field('emailalert', emailAddresses)],
  [
    'emailalertfreq',
    field(
      'emailalertfreq',
      leadingNumber('invalid email alert frequency', `${seconds}, or 0 for no repeats`),
    ),
  ],
  ['emailalertstatus', field('emailalertstatus', parseEmailStatus)],
  [
    'smtp',
    field(
      'smtp',
      matching(/^([0-9A-Za-z._+-]+)/, 'invalid SMTP server address', 'a host name or IPv4 address'),
    ),
  ],
  ['fallback', fallback('fallback')],
  ['fallback6', fallback('fallback6')],
  ['proxyprotocol', field('proxyprotocol', oneOf('proxyprotocol', ['no', 'v1', 'v2']))],
  ['flapdamping', field('flapdamping', parseFlapDamping)],
];

/** Timeouts and counts, with the messages of one level. */
export function countDirectives(messages: {
  readonly checktimeout: string;
  readonly negotiatetimeout: string;
  readonly checkinterval: string;
  readonly checkcount: string;
  readonly failurecount: string;
}): readonly (readonly [string, Directive<CommonDraft>])[] {
  return [
    ['checktimeout', field('checktimeout', positive(messages.checktimeout, seconds))],
    ['negotiatetimeout', field('negotiatetimeout', positive(messages.negotiatetimeout, seconds))],
    ['checkinterval', field('checkinterval', positive(messages.checkinterval, seconds))],
    [
      'checkcount',
      deprecated(
        field('checkcount', positive(messages.checkcount, 'a whole number')),
        "checkcount option is deprecated and slated for removal.  please see 'failurecount'",
      ),
    ],
    ['failurecount', field('failurecount', positive(messages.failurecount, 'a whole number of checks'))],
    [
      'connecttimeout',
      retired('connecttimeout directive deprecated in favour of negotiatetimeout', 'negotiatetimeout'),
    ],
  ];
}
