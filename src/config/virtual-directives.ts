/** The directives of a `virtual=` section, a row each. */
import type { Family } from '../util/ip.ts';
import { withSlash } from './check-settings.ts';
import { parseService } from './check-service.ts';
import { parseCheckType } from './check-type.ts';
import { Problem } from './diagnostic.ts';
import type { Directive } from './directive.ts';
import { commonDirectives, countDirectives, field } from './directive.ts';
import type { VirtualDraft } from './draft.ts';
import { globalDirectives } from './global-directives.ts';
import type { SectionKeywords } from './lexer.ts';
import { parseNetmask } from './netmask.ts';
import { translatePerlRegex } from './perl-regex.ts';
import { anything, matching, natural, oneOf, quoted, quotedOrBare, then, yesNo } from './values.ts';

/** What the head of the section says about its lines. */
export interface SectionKind {
  readonly family: Family;
  readonly mark: boolean;
}

const real: Directive<VirtualDraft> = (value, draft) => {
  draft.reals.push(value);
  return undefined;
};

/** Explicitly chosen ftp and sip come with a login if none was given before. */
const service: Directive<VirtualDraft> = (value, draft, { hostname }) => {
  const chosen = parseService(value.text);
  if (chosen instanceof Problem) return chosen;
  draft.service = chosen;
  if (chosen === 'ftp') {
    draft.login ??= 'anonymous';
    draft.passwd ??= `ldirectord@${hostname}`;
  } else if (chosen === 'sip') {
    draft.login ??= `ldirectord@${hostname}`;
  }
  return undefined;
};

const receive: Directive<VirtualDraft> = (value, draft) => {
  const text = quoted('invalid receive string')(value.text);
  if (text instanceof Problem) return text;
  const pattern = translatePerlRegex(text);
  if (pattern instanceof Problem) return pattern;
  draft.receive = { ...value, text, pattern };
  return undefined;
};

const checkport = then(natural('invalid port', 'a port number'), (port) =>
  port >= 1 && port <= 65535
    ? port
    : new Problem('checkport must be in range 1..65536', 'a port from 1 to 65535'),
);

const httpmethod = then(
  matching(/(\w+)/, 'httpmethod must be GET or HEAD', 'GET or HEAD'),
  (word): 'GET' | 'HEAD' | Problem => {
    const method = word.toUpperCase();
    if (method === 'GET' || method === 'HEAD') return method;
    return new Problem('httpmethod must be GET or HEAD', 'GET or HEAD');
  },
);

const schedflags: Directive<VirtualDraft> = (value, draft) => {
  const text = /[^ \t\r\f\v]+/.exec(value.text)?.[0];
  if (text === undefined) return new Problem('invalid sched-flags', 'flags such as sh-port,sh-fallback');
  draft.schedflags = { ...value, text };
  return undefined;
};

const monitorfile: Directive<VirtualDraft> = (value, draft, { probes }) => {
  const path = /^"(.*)"/s.exec(value.text)?.[1] ?? value.text;
  const trouble = path === '' ? 'No such file or directory' : probes.appendProblem(path);
  if (trouble !== undefined) {
    return new Problem(
      `unable to open monitorfile ${path}: ${trouble}`,
      'a file that can be opened for appending',
    );
  }
  draft.monitorfile = path;
  return undefined;
};

function protocol({ mark }: SectionKind): Directive<VirtualDraft> {
  return field(
    'protocol',
    then(
      matching(/(\w+)/, 'invalid protocol', mark ? 'fwm' : 'tcp or udp'),
      (word): 'tcp' | 'udp' | 'fwm' | Problem => {
        if (mark && word === 'fwm') return word;
        if (!mark && (word === 'tcp' || word === 'udp')) return word;
        return mark
          ? new Problem('protocol must be fwm if the virtual service is a fwmark (a number)', 'fwm')
          : new Problem(
              'protocol must be tcp or udp if the virtual service is an address and port',
              'tcp or udp, in lower case',
            );
      },
    ),
  );
}

/** `real6=` in an IPv4 section and the like. */
function otherFamily(name: string, instead: string): Directive<VirtualDraft> {
  return () => new Problem(`cannot specify "${name}" here.  please use "${instead}" instead`, `${instead}=`);
}

const anyKind: readonly (readonly [string, Directive<VirtualDraft>])[] = [
  ...countDirectives({
    checktimeout: 'invalid check timeout',
    negotiatetimeout: 'invalid negotiate timeout',
    checkinterval: 'invalid checkinterval',
    checkcount: 'invalid check count',
    failurecount: 'invalid failure count',
  }),
  ...commonDirectives,
  ['real', real],
  ['real6', real],
  ['checktype', field('checktype', parseCheckType)],
  ['service', service],
  ['checkcommand', field('checkcommand', quotedOrBare('invalid check command', 'a program'))],
  ['checkport', field('checkport', checkport)],
  ['request', field('request', then(quoted('no request string specified'), withSlash))],
  ['receive', receive],
  ['httpmethod', field('httpmethod', httpmethod)],
  ['virtualhost', field('virtualhost', matching(/^"?([^"]*)/, '', ''))],
  ['login', field('login', quoted('invalid login string'))],
  ['passwd', field('passwd', quoted('invalid password'))],
  ['database', field('database', quoted('invalid database'))],
  ['secret', field('secret', quoted('invalid secret'))],
  [
    'load',
    field('load', then(quoted(undefined), matching(/(\w+)/, 'invalid string for load testing', 'a word'))),
  ],
  [
    'scheduler',
    field(
      'scheduler',
      matching(
        /([a-z]+)/,
        'invalid scheduler, should be only lowercase letters (a-z)',
        'a scheduler such as rr, wrr or wlc',
      ),
    ),
  ],
  ['persistent', field('persistent', natural('invalid persistent timeout', 'a whole number of seconds'))],
  ['schedflags', schedflags],
  ['ops', field('ops', yesNo('ops'))],
  [
    'fallbackcommand',
    field('fallbackcommand', quotedOrBare('invalid fallback command', 'a shell command, quoted or not')),
  ],
  ['monitorfile', monitorfile],
  ['servicename', field('servicename', anything)],
  ['comment', field('comment', anything)],
  ['tlsverify', field('tlsverify', oneOf('tlsverify', ['none', 'chain', 'full']))],
];

/** The table of one kind of section. */
export function virtualDirectives(kind: SectionKind): ReadonlyMap<string, Directive<VirtualDraft>> {
  const table = new Map(anyKind);
  table.set('protocol', protocol(kind));
  table.set('netmask', field('netmask', parseNetmask(kind.family)));
  if (kind.family === 'inet') {
    table.set('real6', otherFamily('real6', 'real'));
    table.set('fallback6', otherFamily('fallback6', 'fallback'));
  } else {
    table.set('real', otherFamily('real', 'real6'));
    table.set('fallback', otherFamily('fallback', 'fallback6'));
  }
  return table;
}

const sectionNames = new Set([...anyKind.map(([name]) => name), 'protocol', 'netmask']);

export const sectionKeywords: SectionKeywords = {
  allowed: (keyword) => sectionNames.has(keyword),
  only: (keyword) => sectionNames.has(keyword) && !globalDirectives.has(keyword),
};
