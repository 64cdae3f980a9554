/**
 * The daemon of the ebpf engine dies again and again under a thousand connections that talk all the time. Eight times by default;
 * `KILLS=100 npx tap --timeout=900 test/scenario/ebpf-kill.test.ts` for the long run.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { waitFor, type Lab, type Program } from './lab.ts';
import type { ListedService } from './lab/listing.ts';
import { directord } from './lab/paths.ts';
import { scenario } from './scenario.ts';
import { TalkingClients } from './talks.ts';
import { makeUpgraded } from './upgraded.ts';

const kills = Number(process.env['KILLS'] ?? 8);
const port = 7000;
const connections = 1000;
/** Milliseconds between an answer and the next line of a session. */
const breath = 1000;
/** How long a daemon may live that dies while it starts, or in the middle of a change. */
const shortLives = [0, 50, 100, 200, 300, 500, 700, 1000, 1500, 2000];

scenario(
  `the daemon is killed ${kills} times: ${connections} connections go on`,
  async (t, lab) => {
    t.setTimeout(60_000 + kills * 8000);
    await TalkingClients.serve(lab, port);
    const file = lab.writeConfig(config(lab));
    let daemon = await lab.startDirectord(file, 'start');
    await lab.untilPoolOf(
      lab.servers.map(({ address }) => `${address}:${port}`),
      10,
    );
    const clients = await TalkingClients.open(lab, port, connections, breath);
    const shares = Object.values((await clients.ask()).servers).sort();
    t.same(shares, [333, 333, 334], 'each server has a third');
    const before = await listed(lab);

    const upgraded = makeUpgraded(lab);
    const started = performance.now();
    const waits: number[] = [];
    const starts: number[] = [];
    let exchanged = 0;
    for (let kill = 1; kill <= kills; kill += 1) {
      const life = shortLives[(kill * 7) % shortLives.length] ?? 0;
      if (kill % 3 === 1) await dieOf(daemon);
      else if (kill % 3 === 2) {
        await dieOf(daemon);
        // every other time one with other programs, which is killed while it puts them in the place of these
        const program = kill % 2 === 0 ? upgraded : directord;
        const starting = lab.director.start([program, '-f', '--engine', 'ebpf', file, 'start']);
        await pause(life);
        await dieOf(starting);
      } else await dieWhileChanging(lab, daemon, life / 2);
      const dead = performance.now();
      daemon = await lab.startDirectord(file, 'start');
      starts.push(performance.now() - dead);
      t.same(await listed(lab), before, `kill ${kill}: right after the start all connections are listed`);
      const talks = await clients.ask();
      const { closed, misrouted, wrong } = talks;
      t.same(
        { closed, misrouted, wrong },
        { closed: 0, misrouted: 0, wrong: 0 },
        'none lost, none misrouted',
      );
      exchanged += talks.exchanged;
      waits.push(talks.slowest);
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    t.comment(`${exchanged} answers in ${seconds} s; the slowest took ${Math.max(...waits)} ms`);
    const [median, longest] = [starts.length >> 1, starts.length - 1].map(
      (at) => starts.sort((a, b) => a - b)[at],
    );
    t.comment(`started in ${median?.toFixed()} ms, at the longest ${longest?.toFixed()} ms`);

    await clients.ask();
    await pause(3 * breath);
    await waitFor('every session to be answered', 10, async () => (await clients.ask()).silent === 0);
    t.same(Object.values((await clients.ask()).servers).sort(), shares, 'all with the server that they had');
    t.match(lab.log(), 'Goes on with 1 services and 3 servers');
    t.match(await daemon.stop(), { code: 0 });
  },
  { engine: 'ebpf' },
);

async function dieOf(program: Program): Promise<void> {
  program.kill('SIGKILL');
  await program.exited;
}

/** In the middle of many services that come and go. */
async function dieWhileChanging(lab: Lab, daemon: Program, life: number): Promise<void> {
  const rules = Array.from({ length: 200 }, (_, i) => {
    const service = `-t ${lab.vip}:${20_000 + i}`;
    const servers = lab.servers.map(({ address }) => `-a ${service} -r ${address}:${port} -m`);
    return [`-A ${service} -s wlc`, ...servers, `-D ${service}`];
  }).flat();
  const changing = lab.admInput(`${rules.join('\n')}\n`, '-R');
  await pause(life);
  await dieOf(daemon);
  await changing;
}

/** The service of the connections. */
async function listed(lab: Lab): Promise<ListedService | undefined> {
  return (await lab.services()).find(({ name }) => name === `TCP ${lab.vip}:${port}`);
}

function config(lab: Lab): string {
  return `checktimeout=5
checkinterval=1
failurecount=3
logfile="${lab.logfile}"
cleanstop=yes

virtual=${lab.vip}:${port}
${lab.servers.map(({ address }) => `    real=${address}:${port} masq\n`).join('')}    protocol=tcp
    scheduler=rr
    checktype=connect
`;
}
