/**
 * A configuration that changes all the time, while clients ask without a pause for a service whose one server stays: not one request
 * may fail. RELOADS says how often (1000 for the full proof), RELOAD_SEED which edits.
 */
import { writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { packetScenario, scenario } from './scenario.ts';
import type { Lab, WebServer } from './lab.ts';
import { waitFor } from './lab.ts';

const reloads = Number(process.env['RELOADS'] ?? 15);
const seed = Number(process.env['RELOAD_SEED'] ?? 1);

/** What the file says, and the table must come to. */
interface Edit {
  readonly quiescent: boolean;
  /** Weights of the servers of the asked service: of the one that stays, and 0 of others, which come and go. */
  readonly asked: ReadonlyMap<WebServer, number>;
  /** Ports of other services, and the weights of their servers. */
  readonly others: ReadonlyMap<number, ReadonlyMap<WebServer, number>>;
}

async function storm(t: Test, lab: Lab): Promise<void> {
  t.setTimeout((60 + reloads) * 1000);
  const random = randomFrom(seed);
  let edit = someEdit(lab, random);
  const config = lab.writeConfig(textOf(lab, edit, 0));
  const daemon = await lab.startDirectord(config, 'start');
  await untilTable(lab, edit);
  const load = lab.client.start(['wrk', '-t1', '-c8', `-d${reloads * 10}s`, '--timeout', '5s', lab.url]);
  const client = lab.helper(lab.client, 'steady-client', lab.url, 5);
  await waitFor('the client to be served', 5, () => client.lines().length > 20);

  const began = performance.now();
  for (let number = 1; number <= reloads; number += 1) {
    edit = someEdit(lab, random);
    writeFileSync(config, textOf(lab, edit, number));
    daemon.kill('SIGHUP');
    // the table tells which file the daemon has taken over: one of its services has the number as port
    await waitFor(
      `reload ${number}`,
      10,
      async () => (await lab.adm('-L', '-n', '-t', marker(lab, number))).code === 0,
    );
  }
  const seconds = (performance.now() - began) / 1000;
  await untilTable(lab, edit);
  load.kill('SIGINT');
  const report = (await load.exited).stdout;
  client.end();
  const seen = (await client.exited).stdout.trim().split('\n');
  t.comment(
    `${reloads} reloads in ${seconds.toFixed(0)} s; ${seen.length} connections, ${/\d+ requests in [\d.]+\w+/.exec(report)?.[0] ?? report}`,
  );
  t.same(
    seen.filter((line) => line.startsWith('FAILED')),
    [],
    `not one of ${seen.length} connections failed`,
  );
  t.ok(Number(/(\d+) requests in/.exec(report)?.[1]) > 100, 'wrk asked all the time');
  t.notMatch(report, /Socket errors|Non-2xx/, 'and missed nothing');
  t.match(lab.log(), /Reloading/i, 'by reloads');
  t.notMatch(
    lab.log(),
    new RegExp(
      `(Deleted|Removed|Quiescent) real server: ${lab.servers[0]?.endpoint ?? ''} \\(${lab.vip}:${lab.port}\\)`,
    ),
    'the server that stays was never touched',
  );
}

scenario('reload storm, relay engine', storm);
packetScenario('reload storm', storm);

function someEdit(lab: Lab, random: (below: number) => number): Edit {
  const stays = lab.servers[0];
  if (stays === undefined) throw new Error('no servers');
  const some = (servers: readonly WebServer[], weight: () => number): ReadonlyMap<WebServer, number> =>
    new Map(servers.filter(() => random(2) === 0).map((server) => [server, weight()]));
  const weight = (): number => 1 + random(9);
  const asked = new Map([[stays, weight()], ...some(lab.servers.slice(1), () => 0)]);
  const ports = [81, 82, 83, 84, 85].filter(() => random(2) === 0);
  return {
    quiescent: random(2) === 0,
    asked,
    others: new Map(ports.map((port) => [port, some(lab.servers, weight)])),
  };
}

function textOf(lab: Lab, { quiescent, asked, others }: Edit, number: number): string {
  const section = (port: number, servers: ReadonlyMap<WebServer, number>): string =>
    [
      `virtual=${lab.vip}:${port}`,
      ...[...servers].map(([{ endpoint }, weight]) => `real=${endpoint} ${lab.forwarding} ${weight}`),
      `fallback=${lab.fallback.endpoint} ${lab.forwarding}`,
      'protocol=tcp',
      'scheduler=wrr',
      `quiescent=${quiescent ? 'yes' : 'no'}`,
      'service=http',
      'request="test.html"',
      'receive="^O[K]"',
    ].join('\n    ');
  const sections = [
    section(lab.port, asked),
    ...[...others].map(([port, servers]) => section(port, servers)),
  ];
  const mark = `virtual=${marker(lab, number)}\n    real=${lab.fallback.endpoint} ${lab.forwarding}\n    protocol=tcp\n    checktype=on`;
  return `checktimeout=2\nnegotiatetimeout=2\ncheckinterval=1\nautoreload=no\ncleanstop=yes\nlogfile="${lab.logfile}"\n\n${[...sections, mark].join('\n\n')}\n`;
}

function marker(lab: Lab, number: number): string {
  return `${lab.vip}:${10_000 + number}`;
}

/** Waits until the table is what the file says, and nothing else. */
async function untilTable(lab: Lab, { asked, others }: Edit): Promise<void> {
  const rows = (servers: ReadonlyMap<WebServer, number>): readonly string[] =>
    servers.size === 0
      ? [`${lab.fallback.endpoint} 1`]
      : [...servers].map(([{ endpoint }, weight]) => `${endpoint} ${weight}`).sort();
  const services = new Map([...others, [lab.port, asked]]);
  const wanted = new Map([...services].map(([port, servers]) => [`TCP ${lab.vip}:${port}`, rows(servers)]));
  await waitFor(
    `the table of the last file: ${JSON.stringify([...wanted])}`,
    10,
    async () => {
      const listed = await lab.services();
      if (listed.length !== wanted.size + 1) return false;
      return [...wanted].every(([name, expected]) => {
        const found = listed.find((service) => service.name === name)?.destinations ?? [];
        return (
          found
            .map(({ endpoint, weight }) => `${endpoint} ${weight}`)
            .sort()
            .join() === expected.join()
        );
      });
    },
    async () => (await lab.adm('-L', '-n')).stdout,
  );
}

/** Numbers that look random, the same for the same seed: xorshift. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
