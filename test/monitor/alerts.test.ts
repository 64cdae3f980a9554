import t from 'tap';
import type { Configuration, EmailAlert, EmailState } from '../../src/config/model.ts';
import type { Alert } from '../../src/monitor/alerts.ts';
import { configuration, fallback, real, virtual } from '../support/configuration.ts';
import { settle } from './fake-clock.ts';
import { stage } from './stage.ts';

const all: ReadonlySet<EmailState> = new Set(['starting', 'running', 'stopping', 'reloading']);
const root: EmailAlert = { to: 'root', frequency: 0, states: all };
const [first, second] = [real('10.2.0.11:80'), real('10.2.0.12:80')];

function mailing(email: EmailAlert, reals = [first, second]): Configuration {
  return configuration([virtual(reals, { emailalert: email, fallback })]);
}

/** `running: Deleted ...` for each mail since the last look. */
function inbox(): { readonly mail: (alert: Alert) => void; readonly take: () => readonly string[] } {
  const mails: Alert[] = [];
  return {
    mail: (alert) => void mails.push(alert),
    take: () => mails.splice(0).map(({ state, text }) => `${state}: ${text}`),
  };
}

const service = '(10.1.0.100:80)';
const inFallback = `Added fallback server: 127.0.0.1:80 ${service} (Weight set to 1)`;
const outFallback = `Deleted fallback server: 127.0.0.1:80 ${service}`;
const added = (server: string): string => `Added real server: ${server} ${service} (Weight set to 1)`;
const deleted = (server: string): string => `Deleted real server: ${server} ${service}`;
const inaccessible = (server: string): string => `Inaccessible real server: ${server} ${service}`;

void t.test('every change is mailed once, with what the daemon is doing, and the log says so', async (t) => {
  const { mail, take } = inbox();
  const { monitor, clock, alive, news } = stage(undefined, mail);
  alive.add('10.2.0.11').add('10.2.0.12');
  monitor.start(mailing(root));
  await settle();
  t.same(take(), [
    `starting: ${inFallback}`,
    `starting: ${added('10.2.0.11:80')}`,
    `starting: ${outFallback}`,
    `starting: ${added('10.2.0.12:80')}`,
  ]);
  t.same(news().log, [
    'Added virtual server: 10.1.0.100:80',
    ...[inFallback, added('10.2.0.11:80'), outFallback, added('10.2.0.12:80')].flatMap((text) => [
      text,
      `emailalert: ${text}`,
    ]),
  ]);
  await clock.advance(30_000);
  t.same(take(), [], 'nothing happened');

  alive.delete('10.2.0.11');
  await clock.advance(10_000);
  t.same(take(), [`running: ${deleted('10.2.0.11:80')}`]);
  await clock.advance(60_000);
  t.same(take(), [], 'without emailalertfreq nobody is reminded');

  monitor.reload(mailing(root, [first]));
  t.same(take(), [
    `reloading: Purged real server (start): 10.2.0.12:80 ${service}`,
    `reloading: ${inFallback}`,
  ]);
  alive.add('10.2.0.11');
  await clock.advance(10_000);
  t.same(take(), [`running: ${added('10.2.0.11:80')}`, `running: ${outFallback}`]);
  await monitor.stop();
  t.same(take(), [`stopping: Purged real server (stop): 10.2.0.11:80 ${service}`]);
});

void t.test(
  'the daemon is starting until every check has had an answer, and reloading while a new one has none',
  async (t) => {
    const { mail, take } = inbox();
    const answers = new Map<string, () => void>();
    const { monitor, alive } = stage(async ({ address }) => {
      await new Promise<void>((resolve) => answers.set(address, resolve));
      return { up: alive.has(address), detail: 'x', milliseconds: 1 };
    }, mail);
    alive.add('10.2.0.11').add('10.2.0.12');
    const running: EmailAlert = { ...root, states: new Set<EmailState>(['running']) };
    monitor.start(mailing(running));
    await settle();
    answers.get('10.2.0.11')?.();
    await settle();
    answers.get('10.2.0.12')?.();
    await settle();
    t.same(take(), [], 'starting is not wanted');
    monitor.reload(
      mailing({ ...root, states: new Set<EmailState>(['reloading']) }, [first, real('10.2.0.13:80')]),
    );
    t.same(take(), [`reloading: Purged real server (start): 10.2.0.12:80 ${service}`]);
    await settle();
    alive.add('10.2.0.13');
    answers.get('10.2.0.13')?.();
    await settle();
    t.same(take(), [`reloading: ${added('10.2.0.13:80')}`]);
    monitor.reload(mailing(running, [first]));
    t.same(take(), [], 'a reload that checks nothing new is over at once, but its own changes are its own');
    await monitor.stop();
  },
);

void t.test('a server that stays down is called inaccessible until it is up', async (t) => {
  const { mail, take } = inbox();
  const { monitor, clock, alive } = stage(undefined, mail);
  alive.add('10.2.0.11').add('10.2.0.12');
  const hourly: EmailAlert = { ...root, frequency: 3600 };
  monitor.start(mailing(hourly));
  await settle();
  alive.delete('10.2.0.11');
  await clock.advance(10_000);
  take();
  await clock.advance(3_595_000);
  t.same(take(), [], 'not before its time');
  await clock.advance(10_000);
  t.same(take(), [`running: ${inaccessible('10.2.0.11:80')}`]);
  await clock.advance(3_000_000);
  monitor.reload(mailing({ ...hourly, to: 'other' }));
  await clock.advance(610_000);
  t.same(take(), [`running: ${inaccessible('10.2.0.11:80')}`], 'a reload does not put it off');
  alive.add('10.2.0.11');
  await clock.advance(10_000);
  t.same(take(), [`running: ${added('10.2.0.11:80')}`]);
  await clock.advance(7_200_000);
  t.same(take(), [], 'nobody is reminded of a server that is up');

  alive.delete('10.2.0.12');
  await clock.advance(10_000);
  take();
  monitor.reload(mailing(hourly, [first]));
  await clock.advance(7_200_000);
  t.same(take(), [], 'nor of one that is configured no more');
  await monitor.stop();
});

void t.test(
  'what was dead from the beginning is repeated too; nobody without an address gets anything',
  async (t) => {
    const { mail, take } = inbox();
    const { monitor, clock, news } = stage(undefined, mail);
    monitor.start(mailing({ ...root, frequency: 60 }));
    await clock.advance(1000);
    t.same(
      take(),
      [`starting: ${inFallback}`],
      'one mail for the fallback, none for servers that never were in',
    );
    await clock.advance(60_000);
    t.same(take(), [`running: ${inaccessible('10.2.0.11:80')}`, `running: ${inaccessible('10.2.0.12:80')}`]);
    monitor.reload(mailing({ to: '', frequency: 60, states: all }));
    news();
    await clock.advance(600_000);
    t.same([take(), news().log], [[], []]);
    await monitor.stop();
    t.equal(clock.timers, 0);
  },
);

void t.test('an interval longer than a timer can be', async (t) => {
  const { mail, take } = inbox();
  const { monitor, clock } = stage(undefined, mail);
  const days = 24 * 3600;
  monitor.start(
    configuration([virtual([first], { emailalert: { ...root, frequency: 30 * days }, checkinterval: days })]),
  );
  await clock.advance(29 * days * 1000);
  t.same(take(), []);
  await clock.advance(2 * days * 1000);
  t.same(take(), [`running: ${inaccessible('10.2.0.11:80')}`]);
  await monitor.stop();
});

void t.test('quiescent servers: the mail says what the log says, but for one that is put back', async (t) => {
  const { mail, take } = inbox();
  const { monitor, clock, director, alive, news } = stage(undefined, mail);
  const quiescent = virtual([first], { emailalert: root, quiescent: true });
  alive.add('10.2.0.11');
  monitor.start(configuration([quiescent], { readdquiescent: true }));
  await settle();
  take();
  alive.delete('10.2.0.11');
  await clock.advance(10_000);
  const text = `Quiescent real server: 10.2.0.11:80 ${service} (Weight set to 0)`;
  t.same(take(), [`running: ${text}`]);
  director.apply(
    {
      verb: 'delete-destination',
      service: quiescent.service,
      destination: { address: '10.2.0.11', port: 80 },
    },
    'admin',
  );
  news();
  monitor.reload(configuration([quiescent], { readdquiescent: true }));
  t.same(news().log, [`Readd ${text}`, `emailalert: ${text}`]);
  t.same(take(), [`reloading: ${text}`]);
  await monitor.stop();
});
