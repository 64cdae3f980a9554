/** A pattern that never comes to an end holds up its own service, and nobody else. */
import { scenario } from './scenario.ts';
import { waitFor } from './lab.ts';

const endless = '^(a+)+$';
const page = `${'a'.repeat(60)}b\n`;
const tookTooLong = /looking for .*\(a\+\)\+.* took longer than 1 s/;

scenario(
  'a pattern without end is given up after a second, and other checks keep their rhythm',
  async (t, lab) => {
    const [sick, well] = lab.servers;
    if (sick === undefined || well === undefined) throw new Error('no servers');
    sick.write('endless.html', page);
    const watched = lab.helper(well.host, 'check-times', well.address, 8081);
    await waitFor('the watched server to listen', 5, () => watched.lines().includes('ready'));
    const endpoint = `${well.address}:8081`;
    const text = `${lab.usualConfig([`real=${endpoint} masq`]).replace('checktimeout=1', 'checktimeout=3')}    negotiatetimeout=3

virtual=${lab.vip}:81
    real=${sick.endpoint} masq
    protocol=tcp
    service=http
    negotiatetimeout=3
    request="endless.html"
    receive="${endless}"
`;
    const config = lab.writeConfig(text.replace('receive="OK"', 'receive="^O[K]\\s"'));

    const probe = await lab.directord(config, 'check', '--probe');
    t.match(
      probe.stdout,
      new RegExp(`-> ${sick.endpoint} +down +1\\d\\d\\d ms  ${tookTooLong.source}`),
      'the probe says so',
    );
    t.match(probe.stdout, new RegExp(`-> ${endpoint} +up `), 'and that the other is well');

    const before = watched.lines().length;
    await lab.startDirectord(config, 'start');
    await lab.untilPoolOf([endpoint], 5);
    await waitFor('ten checks of the other', 20, () => watched.lines().length >= before + 11);
    const times = watched
      .lines()
      .slice(before, before + 11)
      .map(Number);
    const pauses = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    t.comment(`pauses between checks: ${pauses.map((pause) => pause.toFixed(0)).join(' ')} ms`);
    // the first time the pattern is tried, the good ones wait for it once
    const late = pauses.filter((pause) => pause < 700 || pause > 1500);
    t.ok(
      late.length <= 1,
      `it is asked every second but for the time when the pattern was unknown: ${late.join(' ')}`,
    );
    t.ok(
      late.every((pause) => pause < 2600),
      'and then waited for a second',
    );
    t.same(await lab.pool(`TCP ${lab.vip}:${lab.port}`), [endpoint], 'the other service has its server');
    t.same(await lab.pool(`TCP ${lab.vip}:81`), [], 'this one has none');
    t.match(lab.log(), tookTooLong, 'the log says why');
    t.notMatch(
      lab.log(),
      new RegExp(`(?:Deleted|Soft failure) real server: ${endpoint}`),
      'and nothing of the other',
    );
  },
);
