/** The directives that may stand outside of sections, a row each. */
import { Problem } from './diagnostic.ts';
import type { Directive } from './directive.ts';
import { commonDirectives, countDirectives, field, retired } from './directive.ts';
import type { GlobalDraft } from './draft.ts';
import { quoted, rest, yesNo } from './values.ts';

const logfile: Directive<GlobalDraft> = (value, draft, { probes }) => {
  const path = quoted(undefined)(value.text);
  if (path instanceof Problem) return path;
  if (path.startsWith('/') && probes.appendProblem(path) !== undefined) {
    return new Problem(`unable to open logfile: ${path}`, 'a file that can be opened for appending');
  }
  draft.logfile = path;
  return undefined;
};

const maintenancedir: Directive<GlobalDraft> = (value, draft, { probes, report }) => {
  const path = rest('maintenance directory not specified', 'a directory, without quotes')(value.text);
  if (path instanceof Problem) return path;
  if (!probes.isDirectory(path)) report.warning(value.at, 'maintenance directory does not exist');
  draft.maintenancedir = path;
  return undefined;
};

const execute: Directive<GlobalDraft> = (value, draft) => {
  draft.execute.add(value.text);
  return undefined;
};

export const globalDirectives: ReadonlyMap<string, Directive<GlobalDraft>> = new Map<
  string,
  Directive<GlobalDraft>
>([
  ...countDirectives({
    checktimeout: 'invalid check timeout value',
    negotiatetimeout: 'invalid negotiate timeout value',
    checkinterval: 'invalid check interval value',
    checkcount: 'invalid check count value',
    failurecount: 'invalid failure count value',
  }),
  ...commonDirectives,
  ['autoreload', field('autoreload', yesNo('autoreload'))],
  ['callback', field('callback', quoted(undefined))],
  ['logfile', logfile],
  ['execute', execute],
  ['fork', field('fork', yesNo('fork'))],
  ['supervised', field('supervised', yesNo('supervised'))],
  ['readdquiescent', field('readdquiescent', yesNo('readdquiescent'))],
  ['emailalertfrom', field('emailalertfrom', rest('no email from address specified', 'an address'))],
  ['fallbackcommand', field('fallbackcommand', rest('invalid fallback command', 'a shell command'))],
  ['maintenancedir', maintenancedir],
  [
    'timeout',
    retired(
      'timeout directive deprecated in favour of checktimeout and negotiatetimeout',
      'checktimeout or negotiatetimeout',
    ),
  ],
]);
