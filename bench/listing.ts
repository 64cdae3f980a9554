/**
 * A million connections in the running daemon, and how long it takes to list them. Clients and server are frames made by
 * hand: SYN, SYN-ACK and ACK of each connection, as fast as the engine takes them.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { childrenOf } from '../test/scenario/lab/processes.ts';
import { Lab, waitFor, type Program } from '../test/scenario/lab.ts';
import { directoradm, root } from '../test/scenario/lab/paths.ts';
import { ACK, SYN } from '../test/support/frames.ts';
import { columns } from './report.ts';
import { megabytesOf } from './usage.ts';

const port = 8000;
/** Well below what may be half-open at once. */
const group = 50_000;
/** Packets a second, of each side. */
const [fastest, slowest] = [60_000, 5_000];
const program = [process.execPath, join(root, 'dist/tools/bench/open-connections.js')];

export async function listing(count: number, progress: (line: string) => void): Promise<string> {
  progress(`${count} connections in the daemon`);
  const lab = await Lab.open('namespaces', { engine: 'packet', routing: 'nat' });
  try {
    const daemon = await lab.startDirectord('--no-monitor', 'start');
    const server = lab.servers[0]?.address ?? '';
    const rules = [`-A -t ${lab.vip}:${port} -s rr`, `-a -t ${lab.vip}:${port} -r ${server}:${port} -m`];
    const { code, stderr } = await lab.admInput(`${rules.join('\n')}\n`, '-R');
    if (code !== 0) throw new Error(`directoradm -R: ${stderr}`);
    await open(lab, count);
    const processes = [daemon.pid, ...childrenOf(daemon.pid)];
    const before = processes.map(megabytesOf);
    const began = performance.now();
    const lines = await lab.director.run(['sh', '-c', `${directoradm} -L -n -c | wc -l`], {
      timeout: 120,
    });
    const seconds = (performance.now() - began) / 1000;
    const after = processes.map(megabytesOf);
    const shown = Number(lines.stdout) - 2;
    const format = (value: number | undefined, unit: string) => `${Math.round(value ?? NaN)} ${unit}`;
    const text = columns([
      ['active connections in the daemon', format(count, '')],
      ['directoradm -L -n -c', `${seconds.toFixed(1)} s, ${shown} rows`],
      ['memory of the forwarder before', format(before[1], 'MB')],
      ['  and after', format(after[1], 'MB')],
      ['memory of the daemon before', format(before[0], 'MB')],
      ['  and after', format(after[0], 'MB')],
    ]);
    return `${text}\n${lines.stderr}`.trimEnd();
  } finally {
    await lab.close();
  }
}

/** Opens connections in groups, each packet after the one that it answers. */
async function open(lab: Lab, count: number): Promise<void> {
  await run(lab, 'director', ['ip', 'route', 'add', '10.64.0.0/10', 'via', '10.1.0.2']);
  // The hosts' own stacks know nothing of these connections and must keep quiet.
  const quiet = (what: string) => `table ip bench {
  chain quiet { type filter hook prerouting priority raw; ${what} drop; }
}
`;
  await run(lab, 'client', ['nft', '-f', '-'], quiet('ip daddr 10.64.0.0/10'));
  const [server] = lab.servers;
  if (server === undefined) throw new Error('a laboratory without servers');
  const silence = await server.host.run(['nft', '-f', '-'], { input: quiet(`tcp dport ${port}`) });
  if (silence.code !== 0) throw new Error(`nft: ${silence.stderr}`);

  const args = [server.address, lab.vip, port].map(String);
  const front = lab.client.start([...program, 'eth0', await mac(lab, 'front'), 'client', ...args]);
  const back = server.host.start([...program, 'eth0', await mac(lab, 'back'), 'server', ...args]);
  for (let from = 0; from < count; from += group) {
    const some = Math.min(group, count - from);
    const wanted = 3 * some * 0.9999;
    let forwarded = 0;
    // An engine that has not its full share of the machine loses packets: both sides send them again, and slower.
    for (let rate = fastest; forwarded < wanted; rate /= 2) {
      if (rate < slowest) throw new Error(`${forwarded} of ${3 * some} packets were forwarded`);
      const before = await packets(lab);
      await send(front, SYN, from, some, rate);
      await send(back, SYN | ACK, from, some, rate);
      await send(front, ACK, from, some, rate);
      await pause(200);
      forwarded = (await packets(lab)) - before;
    }
  }
  front.end();
  back.end();
}

/** Forwarded so far, both ways. */
async function packets(lab: Lab): Promise<number> {
  const { stdout } = await lab.adm('-L', '-n', '--stats', '--exact');
  const [, into = 0, out = 0] = /-> \S+ +\d+ +(\d+) +(\d+)/.exec(stdout) ?? [];
  return Number(into) + Number(out);
}

async function send(side: Program, flags: number, from: number, count: number, rate: number): Promise<void> {
  const before = side.lines().length;
  side.write(`${flags} ${from} ${count} ${rate}\n`);
  await waitFor('packets', 30, () => {
    if (side.finished !== undefined) throw new Error(side.finished.stderr);
    return side.lines().length > before;
  });
}

async function mac(lab: Lab, device: string): Promise<string> {
  return (await lab.director.run(['cat', `/sys/class/net/${device}/address`])).stdout.trim();
}

async function run(
  lab: Lab,
  host: 'client' | 'director',
  argv: readonly string[],
  input = '',
): Promise<void> {
  const { code, stderr } = await lab[host].run(argv, { input });
  if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
}
