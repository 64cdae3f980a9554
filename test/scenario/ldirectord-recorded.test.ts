/** What the real ldirectord did with the kernel's IPVS as servers came and went and configurations changed, it does with us. */
import t from 'tap';
import { recording } from '../monitor/recording.ts';
import { parseListing } from './lab/listing.ts';
import { tally } from './scenario.ts';
import { playedAsRecorded } from './ldirectord.ts';

t.jobs = 3;
t.setTimeout(300_000);

const direct = { engine: 'packet', routing: 'direct' } as const;
playedAsRecorded('basic', recording('basic'), direct, async (t, lab, { title, played }) => {
  const [service] = parseListing(played.table);
  const serving = service?.destinations.filter(({ weight }) => weight > 0) ?? [];
  // Nobody serves on the fallback, which is the director itself.
  const names = lab.servers.filter(({ endpoint }) => serving.some((one) => one.endpoint === endpoint));
  const answers = await lab.curl(2 * Math.max(names.length, 1), `${lab.url}client.html`);
  const expected = Object.fromEntries(names.map(({ name }) => [`${name} 10.1.0.2`, 2]));
  t.same(
    tally(answers.filter((answer) => answer.startsWith('rs'))),
    expected,
    `${title}: who serves the client`,
  );
});
playedAsRecorded('reload', recording('reload'));
playedAsRecorded('startstop', recording('startstop'));
