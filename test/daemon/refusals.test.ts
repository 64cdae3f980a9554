import t from 'tap';
import { checkText } from '../../src/cli/directord-check.ts';
import { formatDiagnostic } from '../../src/config/diagnostic.ts';
import type { CheckSettings, Fallback, Real, Virtual } from '../../src/config/model.ts';
import { refusals } from '../../src/daemon/refusals.ts';
import { warningsAbout } from '../../src/daemon/warnings.ts';
import type { Forwarding, ServiceId } from '../../src/director/table.ts';
import { configuration, real, virtual } from '../support/configuration.ts';
import { roundRobin } from '../support/table.ts';

const check: Partial<CheckSettings> = {
  type: 'negotiate',
  service: 'http',
  request: '/index.html',
  receive: { text: 'Test Page', pattern: /Test Page/ },
};

/** 10.2.0.LINE:80, checked by HTTP. */
function server(line: number, forwarding: Forwarding, settings: Partial<CheckSettings> = {}): Real {
  return real(`10.2.0.${line}:80`, { at: { line, column: 5 }, forwarding }, { ...check, ...settings });
}

function section(line: number, reals: Real[], changes: Partial<Virtual> = {}): Virtual {
  return virtual(reals, { at: { line, column: 1 }, ...changes });
}

const local: Fallback = { address: '127.0.0.1', port: 80, forwarding: 'local' };
const mark = { kind: 'fwmark', mark: 7, family: 'inet' } as const;

const masqueradingEngine = {
  refuses: (service: ServiceId, _settings: unknown, destination?: { forwarding: Forwarding }) => {
    if (destination === undefined) return service.kind === 'fwmark' ? 'no marks here' : undefined;
    return destination.forwarding === 'masq' ? undefined : `cannot do ${destination.forwarding}`;
  },
};

void t.test('what the engine will not do is said once for each reason, with the places', (t) => {
  const many = Array.from({ length: 199 }, (_, i) => server(6 + i, 'gate'));
  const lines = refusals(
    configuration([
      section(4, [server(5, 'gate'), ...many, server(300, 'masq'), server(301, 'gate')], { fallback: local }),
      section(310, [server(311, 'gate')], { service: mark }),
    ]),
    masqueradingEngine,
  ).map(formatDiagnostic);
  t.same(lines, [
    '/run/ld.cf:5:5: warning: real=10.2.0.5:80 gate: cannot do gate; the same for 200 more, lines 6-204, 301',
    '/run/ld.cf:4:1: warning: fallback=127.0.0.1:80 local of virtual=10.1.0.100:80: cannot do local',
    '/run/ld.cf:310:1: warning: virtual=7: no marks here',
  ]);
  t.same(refusals(configuration([section(4, [server(5, 'masq')])]), masqueradingEngine), []);
  t.end();
});

const takesAll = { refuses: () => undefined };

void t.test('directives without effect are named', (t) => {
  t.match(warningsAbout(configuration([section(1, [])], { fork: true }), takesAll).map(formatDiagnostic), [
    /^\/run\/ld\.cf: warning: fork=yes: not needed/,
  ]);
  t.same(warningsAbout(configuration([section(1, [])]), takesAll), []);
  t.match(warningsAbout(configuration([]), masqueradingEngine).map(formatDiagnostic), [
    /no virtual= section/,
  ]);
  t.end();
});

void t.test('check prints each service as the table will have it', (t) => {
  const ping = server(13, 'gate', { type: 'ping', checkcount: 3 });
  const text = checkText(
    configuration([
      section(4, [server(11, 'masq'), { ...server(12, 'masq'), weight: 20, upperThreshold: 9 }], {
        settings: { ...roundRobin, scheduler: 'sh', schedulerFlags: 3 },
      }),
      section(9, [server(11, 'gate', { type: 'connect' }), ping], {
        service: mark,
        fallback: local,
        quiescent: true,
        failurecount: 3,
      }),
    ]),
  );
  t.equal(
    text,
    `/run/ld.cf: 2 virtual services, 4 real servers

TCP  10.1.0.100:80 sh (sh-fallback,sh-port)
  -> 10.2.0.11:80                 Masq    1
  -> 10.2.0.12:80                 Masq    20      at most 9, again below 0
  check     negotiate http to port 80, request /index.html, receive "Test Page", limit 30 s, every 10 s
  failed    after 1 failure a server is taken out

FWM  7 rr
  -> 10.2.0.11:80                 Route   1
  -> 10.2.0.13:80                 Route   1
  fallback  127.0.0.1:80 Local
  check     connect to port 80, limit 5 s, every 10 s (10.2.0.11:80)
  check     ping, 3 tries of 5 s, every 10 s (10.2.0.13:80)
  failed    after 3 failures a server is kept with weight 0
`,
  );
  t.end();
});
