import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  ctime,
  fileSink,
  jsonSink,
  stderrSink,
  stdoutSink,
  syslogSink,
} from '../../src/observe/log-sinks.ts';
import { DaemonLog } from '../../src/observe/log.ts';
import type { LogSink } from '../../src/observe/log.ts';
import { facilityCode, openSyslog } from '../../src/platform/syslog.ts';

const now = (): Date => new Date(2026, 10, 1, 8, 7, 5);
const stamp = { name: 'ld.cf', pid: 1039, now };

function logTo(sink: LogSink, debug = false): { log: DaemonLog; complaints: string[] } {
  const complaints: string[] = [];
  return { log: new DaemonLog({ sink, debug, complain: (message) => complaints.push(message) }), complaints };
}

void t.test('a file gets lines as ldirectord writes them, also after it was rotated', (t) => {
  const path = join(t.testdir(), 'ld.log');
  const { log, complaints } = logTo(fileSink(path, stamp));
  log.info('Invoking ldirectord invoked as: /usr/sbin/ldirectord /run/ld.cf start ');
  log.debug('not wanted');
  const first =
    '[Sun Nov  1 08:07:05 2026|ld.cf|1039] Invoking ldirectord invoked as: /usr/sbin/ldirectord /run/ld.cf start \n';
  t.equal(readFileSync(path, 'utf8'), first);
  renameSync(path, `${path}.1`);
  log.error('one\ntwo');
  t.equal(readFileSync(`${path}.1`, 'utf8'), first);
  t.equal(
    readFileSync(path, 'utf8'),
    '[Sun Nov  1 08:07:05 2026|ld.cf|1039] one\n[Sun Nov  1 08:07:05 2026|ld.cf|1039] two\n',
  );
  t.same(complaints, []);
  t.end();
});

void t.test('a log that cannot be written is reported once and never throws', (t) => {
  let broken = true;
  const written: string[] = [];
  const { log, complaints } = logTo((record) => {
    if (broken) throw new Error('ENOSPC: no space left on device');
    written.push(record.message);
  });
  log.info('one');
  log.info('two');
  t.same(complaints, ['cannot write the log: ENOSPC: no space left on device']);
  broken = false;
  log.info('three');
  t.same(written, ['three']);
  broken = true;
  log.info('four');
  t.equal(complaints.length, 2, 'and again when it breaks again');
  t.end();
});

void t.test('supervised, debugging, syslog and JSON', (t) => {
  const texts: string[] = [];
  const write = (text: string): void => void texts.push(text);
  const { log } = logTo(stdoutSink(write, now), true);
  log.warn('hello');
  log.redirect(stderrSink(write));
  log.info('hello');
  log.debug('detail');
  log.redirect(syslogSink(write));
  log.info('100% %s\nmore');
  t.same(texts, ['[Sun Nov  1 08:07:05 2026] hello\n', 'hello\n', 'DEBUG2: detail\n', '100% %s', 'more']);
  log.redirect(jsonSink(write));
  log.error('broken');
  t.match(JSON.parse(texts.at(-1) ?? ''), { level: 50, msg: 'broken', pid: process.pid, time: Number });
  t.end();
});

void t.test('ctime pads the day with a blank', (t) => {
  t.equal(ctime(new Date(2026, 10, 22, 18, 0, 0)), 'Sun Nov 22 18:00:00 2026');
  t.equal(ctime(new Date(2027, 1, 3, 0, 0, 9)), 'Wed Feb  3 00:00:09 2027');
  t.end();
});

void t.test('syslog facilities', async (t) => {
  t.equal(facilityCode('daemon'), 3 << 3);
  t.equal(facilityCode('local0'), 16 << 3);
  t.equal(facilityCode('LOG_LOCAL7'), 23 << 3);
  t.equal(facilityCode('nonsense'), undefined);
  await t.rejects(openSyslog('ldirectord', 'nonsense'), {
    message: "there is no syslog facility 'nonsense'",
  });
  const send = await openSyslog('ldirectord', 'local7');
  t.doesNotThrow(() => {
    send('a line with 100% of %s and ümlaut');
  }, 'goes through the C library, whether or not somebody listens');
});
