import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import { waitFor } from './lab.ts';
import { which } from './lab/paths.ts';
import { packetScenario, scenario } from './scenario.ts';

const megabyte = 1 << 20;
const options = { masq: '-m', gate: '-g', ipip: '-i' } as const;
const port = 5201;

/** What iperf3 says with --json, as far as it is read here. */
interface Measured {
  readonly error?: string;
  readonly end: { readonly sum_sent: Sum; readonly sum_received: Sum };
}

interface Sum {
  readonly bytes: number;
  readonly bits_per_second: number;
  readonly retransmits?: number;
}

for (const routing of ['nat', 'direct', 'tunnel'] as const) {
  for (const offloads of ['on', 'off'] as const) {
    const segments = offloads === 'on' ? 'uncut segments of 64 KiB' : 'packets of MTU size';
    const body: Parameters<typeof scenario>[1] = async (t, lab) => {
      if (which('iperf3') === undefined) throw new Error('iperf3 is missing: make deps');
      await listen(lab);
      const directord = await lab.startDirectord('--debug', '--no-monitor', 'start');
      await addServices(lab);

      for (const [name, ...way] of [
        ['up'],
        ['down', '-R'],
        ['four streams up', '-P', '4'],
        ['four streams down', '-R', '-P', '4'],
        ['up by IPv6', '-6'],
        ['down by IPv6', '-6', '-R'],
      ]) {
        const { error, end } = await iperf(lab, way);
        if (error !== undefined) return void t.fail(`${name}: ${error}`);
        const { bytes, bits_per_second: speed } = end.sum_received;
        const again = end.sum_sent.retransmits ?? 0;
        t.ok(bytes > 30 * megabyte, `${name}: ${bytes} bytes arrived before the sender was done`);
        t.comment(`${name}: ${(speed / 1e9).toFixed(2)} Gbit/s, ${again} segments sent again`);
      }

      const content = randomBytes(20 * megabyte);
      const digest = digestOf(content);
      const file = join(lab.directory, 'content');
      writeFileSync(file, content);
      for (const server of lab.servers) writeFileSync(join(server.folder, 'content'), content);
      const copy = join(lab.directory, 'copy');
      const down = await lab.client.run(['curl', '-sS', '-m', '20', '-o', copy, `${lab.url}content`]);
      t.match(down, { code: 0, stderr: '' });
      t.equal(digestOf(readFileSync(copy)), digest, 'a file comes down as it was');
      const up = await lab.client.run(['curl', '-sS', '-m', '20', '-T', file, `${lab.url}upload/content`]);
      t.match(up, { code: 0, stdout: '', stderr: '' });
      const received = lab.servers.map(({ folder }) => join(folder, 'upload/content')).flatMap(read);
      t.same(received.map(digestOf), [digest], 'and goes up as it was, to one server');
      t.notMatch(directord.stderr, /dropped|could not be sent|longer than/, 'nothing was lost on the way');
    };
    const name = `50 MB at a time by ${routing} in ${segments}`;
    // direct routing touches nothing that depends on who makes checksums and segments
    if (routing === 'direct' && offloads === 'off')
      scenario(`${name}, packet engine`, body, { routing, offloads, engine: 'packet' });
    else packetScenario(name, body, { routing, offloads });
  }
}

async function listen(lab: Lab): Promise<void> {
  const programs = lab.servers.map(({ host }) =>
    host.start(['iperf3', '--server', '--port', String(port), '--forceflush']),
  );
  await waitFor('iperf3 to listen', 10, () =>
    programs.every(({ stdout }) => stdout.includes('Server listening')),
  );
}

/** iperf3 has a connection to steer besides those that it measures: persistence keeps them together. */
async function addServices(lab: Lab): Promise<void> {
  const option = options[lab.forwarding];
  const rules = [
    `-A -t ${lab.vip}:80 -s rr`,
    `-A -t ${lab.vip}:${port} -s rr -p 300`,
    `-A -t [${lab.vip6}]:${port} -s rr -p 300`,
    ...lab.servers.flatMap(({ address, address6 }) => [
      `-a -t ${lab.vip}:80 -r ${address}:80 ${option}`,
      `-a -t ${lab.vip}:${port} -r ${address}:${port} ${option}`,
      `-a -t [${lab.vip6}]:${port} -r [${address6 ?? ''}]:${port} ${option}`,
    ]),
  ];
  const { code, stderr } = await lab.admInput(`${rules.join('\n')}\n`, '-R');
  if (code !== 0) throw new Error(stderr);
}

async function iperf(lab: Lab, way: readonly string[]): Promise<Measured> {
  const address = way.includes('-6') ? lab.vip6 : lab.vip;
  const { stdout } = await lab.client.run(
    ['iperf3', '-c', address, '-p', String(port), '-n', '50M', '--json', ...way],
    { timeout: 15 },
  );
  if (!stdout.includes('{')) return { error: 'no answer within 15 s' } as Measured;
  return JSON.parse(stdout) as Measured;
}

function digestOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function read(file: string): readonly Buffer[] {
  try {
    return [readFileSync(file)];
  } catch {
    return [];
  }
}
