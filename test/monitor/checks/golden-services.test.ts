/** Checks of single services as the real ldirectord did them: the same verdict, and the same words on the wire. */
import t from 'tap';
import { parse } from '../../config/parse-helpers.ts';
import type { ServiceDifference } from '../../deliberate-differences.ts';
import { rows, unseen } from '../../deliberate-differences.ts';
import type { CheckSettings } from '../../../src/config/model.ts';
import { fakeService } from './fake-services.ts';
import { check } from './loopback.ts';
import type { Exchange, RecordedService } from './recorded-services.ts';
import { exchangesOf, recordedServices } from './recorded-services.ts';
import { wordsOf } from './wire-words.ts';

interface Way {
  readonly file: string;
  readonly ftpPassive: boolean;
}

/** The second was recorded in active mode, the third with FTP_PASSIVE=1. */
const ways: readonly Way[] = [
  { file: 'ldirectord-services.json', ftpPassive: true },
  { file: 'ldirectord-services-ftp.json', ftpPassive: true },
  { file: 'ldirectord-services-ftp.json', ftpPassive: false },
  { file: 'ldirectord-services-ftp-passive.json', ftpPassive: true },
];

const differences = [...rows, ...unseen].flatMap(({ services = [] }) => services);
const used = new Set<object>();

for (const { file, ftpPassive } of ways) {
  void t.test(`${file}${ftpPassive ? '' : ', FTP_PASSIVE=0'}`, async (t) => {
    for (const recorded of recordedServices(file)) {
      const { service, title, mode, config } = recorded;
      const id = `${service} [${mode}]\n${config}${ftpPassive ? '' : 'FTP_PASSIVE=0\n'}`;
      const explained = differences.filter(({ of }) => of.test(id));
      await t.test(`${title} [${mode}]`, (t) => replay(t, recorded, { explained, ftpPassive }));
    }
  });
}

type Explained = readonly ServiceDifference[];

async function replay(
  t: Tap,
  recorded: RecordedService,
  { explained, ftpPassive }: { explained: Explained; ftpPassive: boolean },
): Promise<void> {
  const exchanges = exchangesOf(recorded);
  const { port, heard, left } = await fakeService(t, recorded, exchanges);
  const { receive, ...settings } = await settingsOf(recorded.config.replace(realServer, `127.0.0.1:${port}`));
  const log: string[] = [];
  // What does not answer never will.
  const signal = AbortSignal.timeout(recorded.mode === 'silent' ? 300 : 3000);
  const say = (line: string): void => void log.push(line);
  const result = await check(
    { ...settings, ...(receive && { receive: receive.pattern }) },
    { ftpPassive, log: say },
    signal,
  );

  const verdict = explained.find(({ up }) => up !== undefined && up !== recorded.up);
  const why = verdict === undefined ? '' : ', unlike the original';
  t.equal(result.up, verdict?.up ?? recorded.up, `${result.up ? 'up' : 'down'}${why}: ${result.detail}`);
  if (verdict !== undefined) used.add(verdict);

  await left();
  const secret = /secret="(.*)"/.exec(recorded.config)?.[1];
  const real = realServer.exec(recorded.config)?.[0] ?? '';
  const ours = heard.map((said) =>
    wordsOf(recorded.service, said, secret).map((line) => asRecorded(line, port, real)),
  );
  const theirs = exchanges
    .map((exchange) => saidBy('client', exchange))
    .filter((said) => said.length > 0)
    .map((said) => wordsOf(recorded.service, said, secret));
  t.same(
    ours,
    theirs.map((words) => saidHere(words, explained)),
    'what was said',
  );
  t.same(
    log.map((line) => asRecorded(line, port, real)),
    [...new Set(recorded.log.match(/(?<=\] )Error: .*/g) ?? [])],
    'what was logged',
  );
  // the original may have died of the check
  if (recorded.alive)
    t.equal(await monitored(recorded.config), middleOf(recorded), 'how the monitorfile names it');
}

type Tap = Parameters<typeof fakeService>[0];

const realServer = /10\.2\.0\.11:\d+/;

async function settingsOf(config: string): Promise<CheckSettings> {
  const result = await parse(config.replace(/^ +monitorfile=.*\n/m, ''));
  const real = result.ok ? result.configuration.virtuals[0]?.reals[0] : undefined;
  if (real === undefined) throw new Error(`not one real server: ${JSON.stringify(result)}`);
  return real.check;
}

function asRecorded(line: string, port: number, real: string): string {
  const [address = ''] = real.split(':');
  return line.replaceAll(`127.0.0.1:${port}`, real).replaceAll('127.0.0.1', address);
}

function saidBy(who: 'client' | 'server', exchange: Exchange): Buffer {
  return Buffer.concat(exchange.filter(({ from }) => from === who).map(({ bytes }) => bytes));
}

/** What the list of differences makes of the recorded words. */
function saidHere(recorded: readonly string[], explained: Explained): readonly string[] {
  let words = recorded;
  for (const difference of explained) {
    const before = words;
    const { words: lines = [], conversation } = difference;
    for (const [pattern, here] of lines)
      words = words.flatMap((word) => (pattern.test(word) ? (here ?? []) : word));
    if (conversation !== undefined) words = conversation(words);
    if (words.join() !== before.join()) used.add(difference);
  }
  return words;
}

/** `negotiate http tcp 10.2.0.11 8000 ...`, between pid and verdict. */
function middleOf({ monitor }: RecordedService): string | undefined {
  return /^\[.*?\] \[\d+\] (.*) \[(?:up|down)\]/.exec(monitor)?.[1];
}

async function monitored(config: string): Promise<string> {
  return (await settingsOf(config)).id.replaceAll('\\', '').replace(/:+/g, ' ');
}

void t.test('every difference is about a check that was played', (t) => {
  t.same(
    differences.filter((each) => !used.has(each)).map(({ of }) => String(of)),
    [],
  );
  t.end();
});
