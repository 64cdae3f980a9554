import { setTimeout as pause } from 'node:timers/promises';
import type { Test } from 'tap';
import { waitFor, type Lab, type Program, type WebServer } from './lab.ts';
import { helper } from './lab/paths.ts';
import { scenario } from './scenario.ts';

/** Seconds. */
const interval = 1;
const duration = 5;
const checked = 8088;
const flooded = 5000;
/** Connections through the flood. */
const open = 100;

/** `counter` of /proc/net/snmp counts what arrives at a server where nobody listens. */
const floods = [
  { kind: 'udp', option: '-u', first: '10.1.0.2', sources: 4096, counter: 'Udp NoPorts' },
  { kind: 'syn', option: '-t', first: '10.64.0.0', sources: 262_144, counter: 'Tcp InSegs' },
] as const;

scenario(
  'in a flood the packet engine leaves health checks their interval and connections open, and takes changes',
  async (t, lab) => {
    const servers = lab.servers.map((server) => ({
      server,
      checks: lab.helper(server.host, 'check-times', server.address, checked),
    }));
    await waitFor('the servers', 10, () => servers.every(({ checks }) => checks.lines()[0] === 'ready'));
    const reals = lab.servers.map(({ address }) => `real=${address}:${checked} masq`);
    await lab.startDirectord(lab.writeConfig(lab.usualConfig(reals)), 'start');
    await lab.untilPoolOf(
      lab.servers.map(({ address }) => `${address}:${checked}`),
      10,
    );
    await lab.director.run(['ip', 'route', 'add', '10.64.0.0/10', 'via', '10.1.0.2']);

    const clients = lab.helper(lab.client, 'idle-clients', lab.vip, lab.port, open);
    t.equal(await waitFor('idle connections', 10, () => clients.lines()[0]), `{"open":${open},"refused":0}`);

    for (const flood of floods) {
      const virtual = `${lab.vip}:${flooded}`;
      const rules = [`-A ${flood.option} ${virtual} -s rr`];
      for (const { address } of lab.servers)
        rules.push(`-a ${flood.option} ${virtual} -r ${address}:${flooded} -m`);
      t.match(await lab.admInput(`${rules.join('\n')}\n`, '-R'), { code: 0, stderr: '' });

      const from = milliseconds();
      const generator = await startFlood(lab, flood);
      await deleteOne(t, lab, flood);
      const { stdout, stderr } = await generator.exited;
      t.match(stdout, /"sent":\d{5}/, `a flood of ${flood.kind}: ${stdout.trim()}${stderr}`);
      for (const { server, checks } of servers) checkIntervals(t, server, checks, from);
    }
    t.equal((await lab.pool(`TCP ${lab.vip}:80`)).length, 3, 'no server was taken for dead');
    clients.write('ask\n');
    const answers = await waitFor('answers', 10, () => clients.lines()[1]);
    t.equal(answers, `{"answered":${open},"closed":0}`, 'connections that were open before are still good');
    const page = await lab.client.run(['curl', '-sS', '--max-time', '5', lab.url]);
    t.equal(page.stdout, 'OK\n', 'afterwards the service is there as before');
  },
  { engine: 'packet' },
);

type Flood = (typeof floods)[number];

async function startFlood(lab: Lab, { kind, first, sources }: Flood): Promise<Program> {
  const mac = (await lab.director.run(['cat', '/sys/class/net/front/address'])).stdout.trim();
  const args = ['eth0', mac, kind, first, sources, lab.vip, flooded, 0, duration].map(String);
  return lab.client.start([process.execPath, helper('flood'), ...args]);
}

/** The first server leaves the flooded service: by the time directoradm is back nothing more goes there. */
async function deleteOne(t: Test, lab: Lab, { kind, option, counter }: Flood): Promise<void> {
  const [server, other] = lab.servers;
  if (server === undefined || other === undefined) throw new Error('a laboratory without servers');
  const before = await arrived(server, counter);
  await waitFor('the flood', 10, async () => (await arrived(server, counter)) > before + 1000);
  const began = milliseconds();
  const real = `${server.address}:${flooded}`;
  const { code, stderr } = await lab.adm('-d', option, `${lab.vip}:${flooded}`, '-r', real);
  const took = (milliseconds() - began) / 1000;
  t.same({ code, stderr }, { code: 0, stderr: '' }, `a server is deleted in the middle of a ${kind} flood`);
  t.ok(took < 1, `in ${took.toFixed(2)} s`);
  const deleted = await arrived(server, counter);
  const still = await arrived(other, counter);
  await pause(1000);
  const late = (await arrived(server, counter)) - deleted;
  t.ok(late < 100, `and nothing afterwards but health checks (${late} packets)`);
  t.ok((await arrived(other, counter)) > still + 1000, 'the others still have');
}

function checkIntervals(t: Test, server: WebServer, checks: Program, from: number): void {
  const times = checks
    .lines()
    .slice(1)
    .map(Number)
    .filter((time) => time >= from);
  const seconds = times.slice(1).map((time, i) => (time - (times[i] ?? 0)) / 1000);
  const mean = seconds.reduce((sum, one) => sum + one, 0) / seconds.length;
  const shown = seconds.map((one) => one.toFixed(3)).join(' ');
  t.ok(seconds.length >= duration - 1, `${server.name} was checked ${times.length} times`);
  t.ok(Math.abs(mean - interval) < 0.1 * interval, `every ${interval} s: ${shown}`);
}

async function arrived({ host }: WebServer, counter: string): Promise<number> {
  const [protocol = '', name = ''] = counter.split(' ');
  const { stdout } = await host.run(['cat', '/proc/net/snmp']);
  const [names = '', values = ''] = stdout.split('\n').filter((line) => line.startsWith(`${protocol}:`));
  return Number(values.split(' ')[names.split(' ').indexOf(name)]);
}

/** Of the clock that all processes of this machine share. */
function milliseconds(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
