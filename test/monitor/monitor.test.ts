import t from 'tap';
import type { CheckSettings } from '../../src/config/model.ts';
import { configuration, fallback, real, virtual } from '../support/configuration.ts';
import { masq, tcp80 } from '../support/table.ts';
import { stage } from './stage.ts';

const rs1 = '10.2.0.11';
const rs2 = '10.2.0.12';
const both = [real(`${rs1}:80`), real(`${rs2}:80`)];

void t.test('servers come up, fail, come back; the fallback stands in; stop cleans up', async (t) => {
  const { monitor, clock, alive, news, table } = stage();
  alive.add(rs1).add(rs2);
  monitor.start(configuration([virtual(both, { fallback })]));
  await clock.advance(0);
  t.same(news(), {
    log: [
      'Added virtual server: 10.1.0.100:80',
      'Added fallback server: 127.0.0.1:80 (10.1.0.100:80) (Weight set to 1)',
      'Added real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 1)',
      'Deleted fallback server: 127.0.0.1:80 (10.1.0.100:80)',
      'Added real server: 10.2.0.12:80 (10.1.0.100:80) (Weight set to 1)',
    ],
    verbs: [
      '-A tcp:10.1.0.100:80 rr',
      '-a tcp:10.1.0.100:80 127.0.0.1:80 gate 1',
      '-a tcp:10.1.0.100:80 10.2.0.11:80 gate 1',
      '-d tcp:10.1.0.100:80 127.0.0.1:80',
      '-a tcp:10.1.0.100:80 10.2.0.12:80 gate 1',
    ],
  });

  alive.clear();
  await clock.advance(10_000);
  t.same(news().log, [
    'Deleted real server: 10.2.0.11:80 (10.1.0.100:80)',
    'Deleted real server: 10.2.0.12:80 (10.1.0.100:80)',
    'Added fallback server: 127.0.0.1:80 (10.1.0.100:80) (Weight set to 1)',
  ]);
  t.same(table(), ['127.0.0.1:80 gate 1']);
  t.match(monitor.states(), [
    {
      label: '10.1.0.100:80',
      fallbackActive: true,
      reals: [
        { name: '10.2.0.11:80', state: 'down', failures: 1, lastResult: { detail: 'Connection refused' } },
        {},
      ],
    },
  ]);
  await clock.advance(30_000);
  t.same(news(), { log: [], verbs: [] }, 'failures of a server that is down change and say nothing');

  alive.add(rs2);
  await clock.advance(10_000);
  t.same(news().log, [
    'Resetting soft failure count: 10.2.0.12:80 (tcp:10.1.0.100:80)',
    'Added real server: 10.2.0.12:80 (10.1.0.100:80) (Weight set to 1)',
    'Deleted fallback server: 127.0.0.1:80 (10.1.0.100:80)',
  ]);

  await monitor.stop();
  t.same(news().log, [
    'Purged real server (stop): 10.2.0.12:80 (10.1.0.100:80)',
    'Purged virtual server (stop): 10.1.0.100:80',
  ]);
  t.equal(clock.timers, 0, 'nothing is scheduled any more');
});

void t.test('failures below failurecount are soft', async (t) => {
  const { monitor, clock, alive, news, reasons } = stage();
  alive.add(rs1);
  monitor.start(configuration([virtual([real(`${rs1}:80`)], { failurecount: 3 })]));
  await clock.advance(0);
  news();
  alive.clear();
  await clock.advance(20_000);
  alive.add(rs1);
  await clock.advance(10_000);
  t.same(news(), {
    log: [
      'Soft failure real server: 10.2.0.11:80 (tcp:10.1.0.100:80) failure 1/3',
      'Soft failure real server: 10.2.0.11:80 (tcp:10.1.0.100:80) failure 2/3',
      'Resetting soft failure count: 10.2.0.11:80 (tcp:10.1.0.100:80)',
    ],
    verbs: [],
  });
  alive.clear();
  await clock.advance(30_000);
  t.same(news().log.slice(2), ['Deleted real server: 10.2.0.11:80 (10.1.0.100:80)']);
  const reason = 'Failed check of real server: 10.2.0.11:80 (tcp:10.1.0.100:80): Connection refused';
  t.same(reasons, [reason, reason], 'each outage is explained once, at its first failure');
});

void t.test('a quiescent server keeps its place, thresholds and port mapping, and recovers', async (t) => {
  const { monitor, clock, alive, news, table } = stage();
  alive.add(rs1);
  const reals = [real(`${rs1}:8080`, { weight: 2, upperThreshold: 10, lowerThreshold: 5 })];
  monitor.start(configuration([virtual(reals, { quiescent: true })]));
  t.same(table(), ['10.2.0.11:80 gate 0 x 10 y 5'], 'until its first success it gets nothing');
  await clock.advance(0);
  alive.clear();
  await clock.advance(10_000);
  t.same(table(), ['10.2.0.11:80 gate 0 x 10 y 5']);
  alive.add(rs1);
  await clock.advance(10_000);
  t.same(table(), ['10.2.0.11:80 gate 2 x 10 y 5']);
  t.same(news().log, [
    'Added virtual server: 10.1.0.100:80',
    'Added real server: 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 0)',
    'Restored real server: 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 2)',
    'Quiescent real server: 10.2.0.11:80 mapped from 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 0)',
    'Resetting soft failure count: 10.2.0.11:8080 (tcp:10.1.0.100:80)',
    'Restored real server: 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 2)',
  ]);
});

void t.test('readdquiescent puts back what somebody took out', async (t) => {
  const { monitor, director, clock, alive, news } = stage();
  alive.add(rs1);
  const quiet = virtual([real(`${rs1}:80`)], { quiescent: true });
  monitor.start(configuration([quiet], { readdquiescent: true }));
  await clock.advance(0);
  director.apply(
    { verb: 'delete-destination', service: tcp80, destination: { address: rs1, port: 80 } },
    'test',
  );
  alive.clear();
  await clock.advance(10_000);
  t.same(news().log.slice(1), [
    'Readd Quiescent real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 0)',
    'Restored real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 1)',
    'Readd Quiescent real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 0)',
  ]);
});

void t.test(
  'ports: masq keeps its own, gate and ipip get that of the service, a mark changes none',
  async (t) => {
    const { monitor, clock, alive, news, table } = stage();
    const mark = { kind: 'fwmark', mark: 7, family: 'inet' } as const;
    const reals = [
      real(`${rs1}:8080`, { forwarding: 'masq', weight: 3 }),
      real(`${rs2}:0`, { forwarding: 'masq' }),
      real('10.2.0.13:8080'),
      real('10.2.0.14:0', { forwarding: 'ipip' }),
    ];
    for (const { address } of reals) alive.add(address);
    const mapped = { address: '127.0.0.1', port: 8081, forwarding: 'gate' } as const;
    monitor.start(
      configuration([
        virtual(reals, { fallback: mapped }),
        virtual(reals.slice(2), { service: mark, fallback: mapped }),
      ]),
    );
    await clock.advance(0);
    t.same(table(), [
      '10.2.0.11:8080 masq 3',
      '10.2.0.12:80 masq 1',
      '10.2.0.13:80 gate 1',
      '10.2.0.14:80 ipip 1',
    ]);
    t.same(table(mark), ['10.2.0.13:8080 gate 1', '10.2.0.14:0 ipip 1']);
    const { log } = news();
    t.ok(log.includes('Added fallback server: 127.0.0.1:8081 (10.1.0.100:80) (Weight set to 1)'));
    t.ok(log.includes('Deleted fallback server: 127.0.0.1:80 mapped from 127.0.0.1:8081 (10.1.0.100:80)'));
    t.ok(log.includes('Deleted fallback server: 127.0.0.1:8081 (7)'));
    alive.clear();
    await clock.advance(10_000);
    t.ok(news().log.includes('Deleted real server: 10.2.0.13:80 mapped from 10.2.0.13:8080 (10.1.0.100:80)'));
  },
);

void t.test('start takes over what the table holds and leaves foreign services alone', async (t) => {
  const { monitor, director, clock, alive, news, table } = stage();
  const foreign = { ...tcp80, address: '10.1.0.200' };
  const wanted = virtual(both, { fallback, failurecount: 2 });
  const settings = { ...masq, forwarding: 'gate', weight: 3 } as const;
  for (const service of [tcp80, foreign]) {
    director.apply({ verb: 'add-service', service, settings: wanted.settings }, 'test');
    for (const address of [rs1, '10.2.0.99', '127.0.0.1']) {
      director.apply(
        { verb: 'add-destination', service, destination: { address, port: 80 }, settings },
        'test',
      );
    }
  }
  news();
  alive.add(rs2);
  monitor.start(configuration([wanted]));
  t.same(news().log, [
    'Restored real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 1)',
    'Purged real server (start): 10.2.0.99:80 (10.1.0.100:80)',
    'Deleted fallback server: 127.0.0.1:80 (10.1.0.100:80)',
  ]);
  await clock.advance(0);
  t.same(news().log, [
    'Soft failure real server: 10.2.0.11:80 (tcp:10.1.0.100:80) failure 1/2',
    'Added real server: 10.2.0.12:80 (10.1.0.100:80) (Weight set to 1)',
  ]);
  await monitor.stop();
  t.same(table(), []);
  t.equal(table(foreign).length, 3, 'the foreign service has all it had');
});

void t.test('a server found at weight 0 is taken out by its first failure, not before', async (t) => {
  const { monitor, director, clock, news, table } = stage();
  const wanted = virtual([real(`${rs1}:80`)], { failurecount: 3 });
  const settings = { ...masq, forwarding: 'gate', weight: 0 } as const;
  director.apply({ verb: 'add-service', service: tcp80, settings: wanted.settings }, 'test');
  director.apply(
    { verb: 'add-destination', service: tcp80, destination: { address: rs1, port: 80 }, settings },
    'test',
  );
  news();
  monitor.start(configuration([wanted]));
  t.same(table(), ['10.2.0.11:80 gate 0']);
  await clock.advance(0);
  t.same(news().log, ['Deleted real server: 10.2.0.11:80 (10.1.0.100:80)']);
});

void t.test('reload touches only what changed', async (t) => {
  const { monitor, clock, alive, news, asked, table } = stage();
  alive.add(rs1).add(rs2);
  const plain = virtual(both, { fallback, failurecount: 2 });
  monitor.start(configuration([plain]));
  await clock.advance(0);
  alive.delete(rs2);
  await clock.advance(10_000);
  news();
  asked.length = 0;

  monitor.reload(configuration([plain]));
  t.same(news(), { log: [], verbs: [] }, 'the same file again');
  await clock.advance(0);
  t.same(asked, [], 'checks keep their rhythm');
  await clock.advance(10_000);
  t.same(
    news().log,
    ['Deleted real server: 10.2.0.12:80 (10.1.0.100:80)'],
    'the failure before the reload counts',
  );

  alive.add('10.2.0.13');
  const heavier = real(`${rs1}:80`, { weight: 5 }, { id: 'heavier' });
  const second = { ...tcp80, port: 8080 };
  monitor.reload(
    configuration([
      virtual([heavier, real(`${rs2}:80`), real('10.2.0.13:80')], {
        fallback,
        failurecount: 2,
        settings: { ...plain.settings, scheduler: 'wlc' },
      }),
      virtual([real(`${rs1}:8080`)], { service: second }),
    ]),
  );
  t.same(news().log, [
    'Changed virtual server: 10.1.0.100:80',
    'Added virtual server: 10.1.0.100:8080',
    'Restored real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 5)',
  ]);
  await clock.advance(0);
  t.same(news().log, [
    'Added real server: 10.2.0.13:80 (10.1.0.100:80) (Weight set to 1)',
    'Added real server: 10.2.0.11:8080 (10.1.0.100:8080) (Weight set to 1)',
  ]);

  monitor.reload(
    configuration([virtual([real('10.2.0.13:80')], { settings: { ...plain.settings, scheduler: 'wlc' } })]),
  );
  t.same(news().log, [
    'Purged real server (start): 10.2.0.11:80 (10.1.0.100:80)',
    'Purged virtual server (start): 10.1.0.100:8080',
  ]);
  t.same(table(), ['10.2.0.13:80 gate 1']);
  asked.length = 0;
  await clock.advance(10_000);
  t.same(asked, ['connect:none:tcp:10.2.0.13:80:'], 'what is gone is not checked');
});

void t.test('a real whose forwarding changes moves to its new destination without a check', async (t) => {
  const { monitor, clock, alive, news, table } = stage();
  alive.add(rs1);
  monitor.start(configuration([virtual([real(`${rs1}:8080`)])]));
  await clock.advance(0);
  news();
  monitor.reload(configuration([virtual([real(`${rs1}:8080`, { forwarding: 'masq' })])]));
  t.same(table(), ['10.2.0.11:8080 masq 1']);
  t.same(news().log, [
    'Added real server: 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 1)',
    'Purged real server (start): 10.2.0.11:80 (10.1.0.100:80)',
  ]);
});

void t.test('reals with one check id are checked once, for every virtual', async (t) => {
  const { monitor, clock, alive, news, asked } = stage();
  alive.add(rs1);
  const other = virtual([real(`${rs1}:80`)], { service: { ...tcp80, address: '10.1.0.200' } });
  monitor.start(configuration([virtual([real(`${rs1}:80`)]), other]));
  await clock.advance(0);
  t.equal(asked.length, 1);
  alive.clear();
  await clock.advance(10_000);
  t.same(news().log.slice(-2), [
    'Deleted real server: 10.2.0.11:80 (10.1.0.100:80)',
    'Deleted real server: 10.2.0.11:80 (10.1.0.200:80)',
  ]);
  alive.add(rs1);
  await clock.advance(10_000);
  news();
  await monitor.stop();
  t.same(news().log, [
    'Purged real server (stop): 10.2.0.11:80 (10.1.0.100:80)',
    'Purged virtual server (stop): 10.1.0.100:80',
    'Purged virtual server (stop): 10.1.0.200:80',
  ]);
});

void t.test('cleanstop=no leaves that virtual as it is', async (t) => {
  const { monitor, clock, alive, news, table } = stage();
  alive.add(rs1);
  monitor.start(configuration([virtual([real(`${rs1}:80`)], { cleanstop: false })]));
  await clock.advance(0);
  news();
  await monitor.stop();
  t.same(news(), { log: [], verbs: [] });
  t.same(table(), ['10.2.0.11:80 gate 1']);
});

void t.test('for the daemon that follows, what it still has stays', async (t) => {
  const { monitor, clock, alive, news, table } = stage();
  alive.add(rs1);
  const both = configuration([
    virtual([real(`${rs1}:80`)]),
    virtual([real(`${rs1}:80`)], { service: { ...tcp80, address: '10.1.0.200' } }),
  ]);
  monitor.start(both);
  await clock.advance(0);
  news();
  await monitor.stop(both.virtuals.slice(0, 1));
  t.same(news().log, [
    'Purged real server (stop): 10.2.0.11:80 (10.1.0.200:80)',
    'Purged virtual server (stop): 10.1.0.200:80',
  ]);
  t.same(table(), ['10.2.0.11:80 gate 1']);
});

void t.test('checktype off is never checked: out, or at weight 0 when quiescent', async (t) => {
  for (const [quiescent, rows] of [
    [false, ['127.0.0.1:80 gate 1']],
    [true, ['127.0.0.1:80 gate 1', '10.2.0.11:80 gate 0']],
  ] as const) {
    const { monitor, clock, asked, table } = stage();
    const off = real(`${rs1}:80`, {}, { type: 'off' });
    monitor.start(configuration([virtual([off], { quiescent, fallback })]));
    await clock.advance(60_000);
    t.same(table(), rows);
    t.same(asked, []);
  }
});

void t.test('the fallback command is told of changes only, and not before something is known', async (t) => {
  const { monitor, clock, alive, commands } = stage();
  const service = { ...tcp80, port: 8080 };
  const fallbackcommand = '/usr/local/bin/page "us"';
  monitor.start(
    configuration([
      virtual(both, { fallbackcommand }),
      virtual([real('10.2.0.13:0')], {
        fallbackcommand: 'mark',
        service: { kind: 'fwmark', mark: 7, family: 'inet' },
      }),
      virtual([real('10.2.0.14:80', {}, { type: 'on' })], { service }),
    ]),
  );
  t.same(commands, []);
  await clock.advance(20_000);
  t.same(commands, ['/usr/local/bin/page "us" start 10.1.0.100:80 tcp', 'mark start :0 fwm']);
  alive.add(rs1).add(rs2);
  await clock.advance(20_000);
  t.same(commands.slice(2), ['/usr/local/bin/page "us" stop 10.1.0.100:80 tcp']);
  await monitor.stop();
  t.same(commands.slice(3), ['mark stop :0 fwm'], 'at the end, what was started is stopped');
});

void t.test('the fallback command of a service that is gone, or that stays behind', async (t) => {
  const { monitor, clock, commands } = stage();
  const service = { ...tcp80, port: 8080 };
  const kept = virtual([real('10.2.0.13:0')], { fallbackcommand: 'kept', service, cleanstop: false });
  monitor.start(configuration([virtual(both, { fallbackcommand: 'gone' }), kept]));
  await clock.advance(20_000);
  t.same(commands, ['gone start 10.1.0.100:80 tcp', 'kept start 10.1.0.100:8080 tcp']);
  monitor.reload(configuration([kept]));
  await clock.advance(0);
  t.same(commands.slice(2), ['gone stop 10.1.0.100:80 tcp']);
  await monitor.stop();
  t.equal(commands.length, 3, 'with cleanstop=no the service goes on, and what stands in for it too');
});

void t.test('a refusal by the director is logged with its context and tried again', async (t) => {
  const { monitor, director, clock, alive, news, table } = stage();
  alive.add(rs1);
  const wanted = virtual([real(`${rs1}:80`)], { fallback });
  monitor.start(configuration([wanted]));
  director.apply({ verb: 'delete-service', service: tcp80 }, 'test');
  news();
  await clock.advance(0);
  t.match(news().log, [
    /Refused \(ESRCH\): add-destination 10\.2\.0\.11:80 of tcp:10\.1\.0\.100:80: no service/,
  ]);
  t.match(monitor.states(), [{ reals: [{ state: 'unchecked' }] }]);
  director.apply({ verb: 'add-service', service: tcp80, settings: wanted.settings }, 'test');
  await clock.advance(10_000);
  t.same(table(), ['10.2.0.11:80 gate 1']);
});

void t.test('a server in maintenance goes down whatever the failure count, and stays down', async (t) => {
  let maintenance = false;
  const { monitor, director, clock, news, table } = stage(() =>
    Promise.resolve({ up: !maintenance, detail: '', milliseconds: 0, immediate: maintenance }),
  );
  monitor.start(configuration([virtual([real(`${rs1}:80`)], { failurecount: 5 })]));
  await clock.advance(0);
  news();
  maintenance = true;
  await clock.advance(10_000);
  const out = ['Deleted real server: 10.2.0.11:80 (10.1.0.100:80)'];
  t.same(news().log, out);
  await clock.advance(10_000);
  t.same(news().log, []);
  const settings = { ...masq, forwarding: 'gate' } as const;
  director.apply(
    { verb: 'add-destination', service: tcp80, destination: { address: rs1, port: 80 }, settings },
    'by hand',
  );
  await clock.advance(10_000);
  t.same(news().log, out);
  t.same(table(), []);
});

void t.test(
  'checktype 2: a negotiate, two connects, a negotiate; after any failure a negotiate',
  async (t) => {
    const types: CheckSettings['type'][] = [];
    const answers = [true, true, true, true, false, false, true, true];
    const { monitor, clock } = stage((settings) => {
      types.push(settings.type);
      return Promise.resolve({ up: answers.shift() ?? true, detail: '', milliseconds: 0 });
    });
    monitor.start(configuration([virtual([real(`${rs1}:80`, {}, { type: 'combined', connects: 2 })])]));
    await clock.advance(80_000);
    t.same(types, [
      'negotiate',
      'connect',
      'connect',
      'negotiate',
      'connect',
      'negotiate',
      'negotiate',
      'connect',
      'connect',
    ]);
  },
);
