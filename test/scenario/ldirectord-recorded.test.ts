/**
 * What the real ldirectord did with the kernel's IPVS it does with us: every step of every recording. Most of the time goes by in starting
 * our directoradm, some 1,600 times.
 */
import t from 'tap';
import { inForeground } from '../monitor/recorded-configurations.ts';
import type { RecordedAction } from '../monitor/recording.ts';
import { recording } from '../monitor/recording.ts';
import { waitFor } from './lab.ts';
import { showPlayed, showRecorded } from './lab/ldirectord-shown.ts';
import { parseListing } from './lab/listing.ts';
import { drivenByLdirectord, playedAsRecorded } from './ldirectord.ts';
import { tally } from './scenario.ts';

t.jobs = 7;
t.setTimeout(400_000);

playedAsRecorded('startstop', recording('startstop'));
playedAsRecorded('misc-a', recording('misc-a'));
playedAsRecorded('misc-b', recording('misc-b'));
playedAsRecorded('reload', recording('reload'));

const direct = { engine: 'packet', routing: 'direct' } as const;
let firstPort = 20_000;
playedAsRecorded('basic', recording('basic'), direct, async (t, lab, { title, played }) => {
  const [service] = parseListing(played.table);
  const serving = service?.destinations.filter(({ weight }) => weight > 0) ?? [];
  // Nobody serves on the fallback, which is the director itself.
  const servers = lab.servers.filter(({ endpoint }) => serving.some((one) => one.endpoint === endpoint));
  // A port that an earlier step used would find its connection: without replies it is never seen to end, and is kept for two minutes.
  const range = `echo ${firstPort} ${firstPort + 63} >/proc/sys/net/ipv4/ip_local_port_range`;
  await lab.client.run(['sh', '-c', range]);
  firstPort += 64;
  const answers = await lab.curl(2 * Math.max(servers.length, 1), `${lab.url}client.html`);
  const expected = Object.fromEntries(servers.map(({ name }) => [`${name} 10.1.0.2`, 2]));
  t.same(tally(answers.filter((answer) => answer.startsWith('rs'))), expected, `${title}: who serves`);
});

const more = recording('misc-d');
const end = more.findIndex((record) => 'step' in record && record.step === '-d: stopped') + 1;
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
        await waitFor(`${action} to read the table`, 90, () => ldirectord.calls().length === before + 2);
      }
      if (number === 3) await waitFor('the end', 90, () => ldirectord.log().includes('terminated on signal'));
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
