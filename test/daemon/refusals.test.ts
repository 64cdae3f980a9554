import t from 'tap';
import { checkText } from '../../src/cli/directord-check.ts';
import { formatDiagnostic } from '../../src/config/diagnostic.ts';
import type { CheckSettings, Configuration, Fallback, Real, Virtual } from '../../src/config/model.ts';
import { notActedOn } from '../../src/daemon/not-acted-on.ts';
import { refusals } from '../../src/daemon/refusals.ts';
import type { Forwarding, ServiceId } from '../../src/director/table.ts';

const check: CheckSettings = {
  id: 'x',
  type: 'negotiate',
  connects: 0,
  service: 'http',
  protocol: 'tcp',
  address: '10.2.0.11',
  port: 80,
  request: '/index.html',
  url: 'http://10.2.0.11:80/index.html',
  receive: /Test Page/,
  httpmethod: 'GET',
  virtualhost: undefined,
  login: '',
  password: '',
  database: '',
  secret: '',
  command: '',
  virtualAddress: '10.1.0.100',
  virtualPort: 80,
  realPort: 80,
  checktimeout: 5,
  negotiatetimeout: 30,
  checkcount: 1,
  tlsverify: 'chain',
};

const noMail = { to: '', frequency: 0, states: new Set<never>() };

function real(line: number, forwarding: Forwarding, settings: Partial<CheckSettings> = {}): Real {
  const address = `10.2.0.${line}`;
  return {
    at: { line, column: 5 },
    address,
    port: 80,
    forwarding,
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    check: { ...check, address, ...settings },
  };
}

function virtual(line: number, service: Virtual['service'], reals: Real[], fallback?: Fallback): Virtual {
  return {
    at: { line, column: 1 },
    service,
    id: 'tcp:10.1.0.100:80',
    label: service.kind === 'fwmark' ? String(service.mark) : `${service.address}:${service.port}`,
    settings: {
      scheduler: 'wrr',
      schedulerFlags: 0,
      persistence: 0,
      netmask: 0xffffffff,
      persistenceEngine: '',
      onePacket: false,
      proxyProtocol: 'none',
    },
    reals,
    fallback,
    fallbackcommand: undefined,
    failurecount: 1,
    checkinterval: 10,
    quiescent: false,
    cleanstop: true,
    emailalert: noMail,
    monitorfile: undefined,
    servicename: undefined,
    comment: undefined,
  };
}

function configuration(virtuals: Virtual[], global: Partial<Configuration['global']> = {}): Configuration {
  return {
    file: 'my.cf',
    virtuals,
    global: {
      checkinterval: 10,
      checkcount: 1,
      failurecount: 1,
      checktimeout: undefined,
      negotiatetimeout: undefined,
      autoreload: false,
      callback: undefined,
      logfile: '/var/log/ldirectord.log',
      execute: [],
      fork: false,
      supervised: false,
      quiescent: false,
      readdquiescent: false,
      cleanstop: true,
      emailalert: noMail,
      emailalertfrom: undefined,
      maintenancedir: undefined,
      fallback: undefined,
      fallback6: undefined,
      fallbackcommand: undefined,
      ...global,
    },
  };
}

const web = { kind: 'address', protocol: 'tcp', address: '10.1.0.100', port: 80 } as const;
const mark = { kind: 'fwmark', mark: 7, family: 'inet' } as const;

const masqueradingEngine = {
  refuses: (service: ServiceId, _settings: unknown, destination?: { forwarding: Forwarding }) => {
    if (destination === undefined) return service.kind === 'fwmark' ? 'no marks here' : undefined;
    return destination.forwarding === 'masq' ? undefined : `cannot do ${destination.forwarding}`;
  },
};

void t.test('what the engine will not do is said once for each reason, with the places', (t) => {
  const many = Array.from({ length: 199 }, (_, i) => real(6 + i, 'gate'));
  const lines = refusals(
    configuration([
      virtual(4, web, [real(5, 'gate'), ...many, real(300, 'masq'), real(301, 'gate')], {
        address: '127.0.0.1',
        port: 80,
        forwarding: 'local',
      }),
      virtual(310, mark, [real(311, 'gate')]),
    ]),
    masqueradingEngine,
  ).map(formatDiagnostic);
  t.same(lines, [
    'my.cf:5:5: warning: real=10.2.0.5:80 gate: cannot do gate; the same for 200 more, lines 6-204, 301',
    'my.cf:4:1: warning: fallback=127.0.0.1:80 local of virtual=10.1.0.100:80: cannot do local',
    'my.cf:310:1: warning: virtual=7: no marks here',
  ]);
  t.same(refusals(configuration([virtual(4, web, [real(5, 'masq')])]), masqueradingEngine), []);
  t.end();
});

void t.test('directives without effect are named', (t) => {
  const to = { ...noMail, to: 'root@localhost' };
  const loud = configuration([{ ...virtual(1, web, []), monitorfile: '/tmp/m', emailalert: to }], {
    fork: true,
    execute: ['other.cf'],
  });
  t.match(notActedOn(loud).map(formatDiagnostic), [
    /^my\.cf: warning: fork=yes: not needed/,
    /execute=other\.cf: not acted on/,
    /emailalert: not acted on/,
    /monitorfile: not acted on/,
  ]);
  t.same(notActedOn(configuration([virtual(1, web, [])])), []);
  t.end();
});

void t.test('check prints each service as the table will have it', (t) => {
  const ping = real(13, 'gate', { type: 'ping', checkcount: 3 });
  const text = checkText(
    configuration([
      virtual(4, web, [real(11, 'masq'), { ...real(12, 'masq'), weight: 20, upperThreshold: 9 }]),
      {
        ...virtual(9, mark, [real(11, 'gate', { type: 'connect' }), ping], {
          address: '127.0.0.1',
          port: 80,
          forwarding: 'local',
        }),
        quiescent: true,
        failurecount: 3,
      },
    ]),
  );
  t.equal(
    text,
    `my.cf: 2 virtual services, 4 real servers

TCP  10.1.0.100:80 wrr
  -> 10.2.0.11:80                 Masq    1
  -> 10.2.0.12:80                 Masq    20      at most 9, again below 0
  check     negotiate http to port 80, request /index.html, receive /Test Page/, limit 30 s, every 10 s
  failed    after 1 failure a server is taken out

FWM  7 wrr
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
