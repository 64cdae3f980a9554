/** Directives and ways of running that were recorded one by one, and the command line: as with the kernel's IPVS, so with us. */
import t from 'tap';
import { inForeground } from '../monitor/recorded-configurations.ts';
import type { RecordedAction } from '../monitor/recording.ts';
import { recording } from '../monitor/recording.ts';
import { waitFor } from './lab.ts';
import { showPlayed, showRecorded } from './lab/ldirectord-shown.ts';
import { drivenByLdirectord, playedAsRecorded } from './ldirectord.ts';

t.jobs = 4;
t.setTimeout(300_000);

const more = recording('misc-d');
const end = more.findIndex((record) => 'step' in record && record.step === '-d: stopped') + 1;
playedAsRecorded('misc-a', recording('misc-a'));
playedAsRecorded('misc-b', recording('misc-b'));
playedAsRecorded('misc-d', more.slice(0, end));

/** What is not in the recording: words of the command line, for each of its actions. */
const commandLines: readonly string[] = [
  ...['status', 'start', 'reload', 'stop'],
  ...['y.cf status', 'zz.cf status'],
  ...['status', 'stop', 'try-restart', 'reload', 'force-reload'].map((action) => `/run/ld.cf ${action}`),
  ...['status', 'stop', 'reload'].map((action) => `/run/ld.cf ${action}`),
  '/run/ld.cf status',
];

/** Put into the pid file before the command line of this number: one that nobody can have, and a process that is called so too: we. */
const pids: Readonly<Record<number, number>> = { 11: 2 ** 22 + 1, 14: process.pid };

drivenByLdirectord('misc-d, the command line', { ipvsadm: 'logged' }, async (t, lab, ldirectord) => {
  for (const name of ['ldirectord.cf', 'conf/y.cf'])
    ldirectord.write(name, 'logfile="/run/ld.log"\n', 'ha.d');
  ldirectord.write('ld.cf', inForeground);
  const started = { calls: 0, log: 0 };
  const recorded: RecordedAction[] = [];
  const answers: RecordedAction[] = [];
  let number = 0;
  for (const record of more.slice(end)) {
    if ('action' in record) {
      const { action } = record;
      if (pids[number] !== undefined) ldirectord.write('ldirectord.ld.cf.pid', `${pids[number]}\n`);
      const before = ldirectord.calls().length;
      const { code, stdout, stderr } = await ldirectord.run(...(commandLines[number] ?? '').split(' '));
      answers.push({ action, rc: code ?? -1, stdout, stderr });
      recorded.push(record);
      // Start and reload read the table once, as both forms of the listing.
      if (number === 1 || number === 2) {
        await waitFor(`${action} to read the table`, 30, () => ldirectord.calls().length === before + 2);
      }
      if (number === 3) await waitFor('the end', 30, () => ldirectord.log().includes('terminated on signal'));
      number += 1;
    } else if ('step' in record) {
      const { table, ...said } = showRecorded(record, recorded.splice(0));
      const [calls, log] = [ldirectord.calls().slice(started.calls), ldirectord.log().slice(started.log)];
      t.same(showPlayed(record.step, calls, log, answers.splice(0)), said, record.step);
      t.equal((await lab.adm('-L', '-n')).stdout, table, `${record.step}: table`);
      Object.assign(started, { calls: ldirectord.calls().length, log: ldirectord.log().length });
    }
  }
  t.equal(number, commandLines.length, 'every command line was given');
});
