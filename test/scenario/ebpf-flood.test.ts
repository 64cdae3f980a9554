/** A SYN flood from a quarter of a million addresses, as fast as one core can send, at the address of a thousand open connections. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Lab, Program } from './lab.ts';
import { helper, which } from './lab/paths.ts';
import { scenario } from './scenario.ts';
import { TalkingClients } from './talks.ts';

const port = 7000;
const connections = 1000;
const [network, sources] = ['10.64.0.0/10', 262_144];
/** What the director is told that there are, and the half-open connections that it has room for then. */
const expected = 131_072;
const room = expected / 2;
/** Seconds. */
const warming = 2;
const measuring = 4;

scenario(
  'a SYN flood takes nothing from open connections, and lets new ones in',
  async (t, lab) => {
    t.setTimeout(120_000);
    if (which('wrk') === undefined) throw new Error('wrk is missing: make deps');
    await TalkingClients.serve(lab, port);
    const daemon = await lab.startDirectord('--connections', String(expected), '--no-monitor', 'start');
    const rules = [lab.port, port].flatMap((port) => [
      `-A -t ${lab.vip}:${port} -s wlc`,
      ...lab.servers.map(({ address }) => `-a -t ${lab.vip}:${port} -r ${address}:${port} -m`),
    ]);
    t.match(await lab.admInput(`${rules.join('\n')}\n`, '-R'), { code: 0, stderr: '' });
    await spareServers(lab);
    const clients = await TalkingClients.open(lab, port, connections, 500);
    const { servers } = await clients.ask();

    await newConnections(lab, 1);
    const usual = await newConnections(lab, measuring);
    const calm = await clients.ask();
    const flood = await startFlood(lab, warming + measuring + 2);
    await pause(warming * 1000);
    const flooded = await newConnections(lab, measuring);
    const talks = await clients.ask();
    const { stdout, stderr } = await flood.exited;
    const { sent, seconds } = JSON.parse(stdout || '{}') as { sent?: number; seconds?: number };
    t.ok((sent ?? 0) > room, `${((sent ?? 0) / (seconds ?? 1)).toFixed(0)} SYN/s for ${seconds} s ${stderr}`);
    t.comment(
      `new connections: ${usual}/s, in the flood ${flooded}/s, ${(flooded / usual).toFixed(2)} times as many`,
    );
    t.comment(
      `slowest of ${calm.exchanged} answers: ${calm.slowest} ms, in the flood ${talks.slowest} ms of ${talks.exchanged}`,
    );
    t.ok(flooded >= usual / 4, 'in the flood new connections come in');
    const { closed, misrouted, wrong, silent } = talks;
    t.same(
      { closed, misrouted, wrong, silent },
      { closed: 0, misrouted: 0, wrong: 0, silent: 0 },
      'open ones go on',
    );

    await clients.ask();
    await pause(1500);
    t.match(await clients.ask(), { servers, closed: 0, misrouted: 0, wrong: 0, silent: 0 }, 'afterwards too');
    const service = (await lab.services()).find(({ name }) => name === `TCP ${lab.vip}:${port}`);
    const active = service?.destinations.map(({ active }) => active) ?? [];
    t.same(active.sort(), Object.values(servers).sort(), 'all of them are listed');
    t.equal(daemon.finished, undefined);
  },
  { engine: 'ebpf' },
);

/** @returns how many a second, each with a request and its answer */
async function newConnections(lab: Lab, seconds: number): Promise<number> {
  const load = ['wrk', '-t1', '-c16', `-d${seconds}s`, '-H', 'Connection: close', lab.url];
  const { stdout } = await lab.client.run(load);
  return Math.round(Number(/Requests\/sec: +([\d.]+)/.exec(stdout)?.[1] ?? 0));
}

/** What the flood does to them is not the matter here: all that one core can send is to be the director's. */
async function spareServers(lab: Lab): Promise<void> {
  const rules = `table netdev flood {
  chain arrivals {
    type filter hook ingress device eth0 priority 0
    ip saddr ${network} drop
  }
}
`;
  for (const { host } of lab.servers) {
    const { code, stderr } = await host.run(['nft', '-f', '-'], { input: rules });
    if (code !== 0) throw new Error(`nft: ${stderr}`);
  }
}

async function startFlood(lab: Lab, seconds: number): Promise<Program> {
  const mac = (await lab.director.run(['cat', '/sys/class/net/front/address'])).stdout.trim();
  const flood = ['eth0', mac, 'syn', network.replace(/\/.*/, ''), sources, lab.vip, lab.port, 0, seconds].map(
    String,
  );
  return lab.client.start(['taskset', '-c', '0', process.execPath, helper('flood'), ...flood]);
}
