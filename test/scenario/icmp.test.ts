import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import { which } from './lab/paths.ts';
import type { scenario } from './scenario.ts';
import { packetScenario } from './scenario.ts';

const options = { masq: '-m', gate: '-g', ipip: '-i' } as const;

/** A service at both virtual addresses, and all real servers. */
async function addServices(lab: Lab, protocol: '-t' | '-u', port: number): Promise<void> {
  const method = options[lab.forwarding];
  const rules = [
    `-A ${protocol} ${lab.vip}:${port} -s rr`,
    `-A ${protocol} [${lab.vip6}]:${port} -s rr`,
    ...lab.servers.flatMap(({ address, address6 }) => [
      `-a ${protocol} ${lab.vip}:${port} -r ${address}:${port} ${method}`,
      `-a ${protocol} [${lab.vip6}]:${port} -r [${address6 ?? ''}]:${port} ${method}`,
    ]),
  ];
  const { code, stderr } = await lab.admInput(`${rules.join('\n')}\n`, '-R');
  if (code !== 0) throw new Error(stderr);
}

packetScenario(
  'ping, traceroute, closed ports and servers without a way are as with a router',
  async (t, lab) => {
    if (which('traceroute') === undefined) throw new Error('traceroute is missing: make deps');
    await lab.startDirectord('--debug', '--no-monitor', 'start');
    await addServices(lab, '-t', 80);
    await addServices(lab, '-u', 9999);
    const nowhere = ['10.9.0.1', '[2001:db8:9::1]'];
    const rules = [lab.vip, `[${lab.vip6}]`].flatMap((vip, at) => [
      `-A -t ${vip}:81 -s rr`,
      `-a -t ${vip}:81 -r ${nowhere[at] ?? ''}:81 -m`,
    ]);
    t.match(await lab.admInput(`${rules.join('\n')}\n`, '-R'), { code: 0, stderr: '' });
    for (const [address, director] of [
      [lab.vip, '10.1.0.1'],
      [lab.vip6, '2001:db8:1::1'],
    ] as const) {
      const ping = await lab.client.run(['ping', '-n', '-c', '2', '-i', '0.2', '-W', '2', address]);
      t.match(ping.stdout, '2 packets transmitted, 2 received', `${address} answers a ping`);

      for (const way of [
        ['-U', '-p', '9999'],
        ['-T', '-p', '80'],
      ]) {
        const trace = ['traceroute', '-n', '-q', '1', '-w', '2', '-m', '1', ...way, address];
        const { stdout } = await lab.client.run(trace);
        const hop = /^ 1 +(\S+) /m.exec(stdout)?.[1];
        t.ok(
          hop === director || hop === address,
          `${way[0] ?? ''}: a packet's last hop is told by ${hop ?? stdout}`,
        );
      }

      const closed = `exec 3<>/dev/udp/${address}/9999; echo hello >&3; read -t 3 <&3`;
      const { stderr } = await lab.client.run(['bash', '-c', closed]);
      t.match(stderr, 'Connection refused', 'a closed UDP port of a real server refuses');

      const unreachable = await lab.client.run(['bash', '-c', `exec 3<>/dev/tcp/${address}/81`], {
        timeout: 5,
      });
      t.match(unreachable.stderr, 'No route to host', 'a real server that there is no way to');
    }
  },
);

/**
 * Nobody on these paths may cut: 1400 bytes behind the director, and on the way to the client far away 1350 by the
 * director's route and 1300 behind the next router. All ends offer segments of 1460 bytes all the same, so they depend
 * on being told.
 */
async function narrow(lab: Lab): Promise<void> {
  const run = async (host: Lab['client'], ...commands: readonly string[]): Promise<void> => {
    for (const command of commands) {
      const { code, stderr } = await host.run(['ip', ...command.split(' ')]);
      if (code !== 0) throw new Error(`ip ${command}: ${stderr}`);
    }
  };
  const router = lab.forwarding === 'masq' ? 1 : 2;
  for (const { host } of [...lab.servers, lab.fallback]) {
    await run(
      host,
      'link set eth0 mtu 1400',
      `route change default via 10.2.0.${router} advmss 1460`,
      `-6 route change default via 2001:db8:2::${router} advmss 1440`,
    );
  }
  await run(
    lab.director,
    'link set back mtu 1400',
    'route change 10.3.0.0/24 via 10.1.0.2 mtu 1350',
    '-6 route change 2001:db8:3::/64 via 2001:db8:1::2 mtu 1350',
  );
  await run(lab.client, 'link set far mtu 1300');
  await run(
    lab.far,
    'link set eth0 mtu 1300',
    'route change default via 10.3.0.1 advmss 1460',
    '-6 route change default via 2001:db8:3::1 advmss 1440',
  );
}

for (const routing of ['nat', 'direct', 'tunnel'] as const) {
  const body: Parameters<typeof scenario>[1] = async (t, lab) => {
    await narrow(lab);
    const directord = await lab.startDirectord('--debug', '--no-monitor', 'start');
    await addServices(lab, '-t', 80);
    const content = randomBytes(5 << 20);
    const file = join(lab.directory, 'content');
    writeFileSync(file, content);
    for (const { folder } of lab.servers) writeFileSync(join(folder, 'content'), content);

    const mtus = [];
    for (const [name, host] of [
      ['near', lab.client],
      ['far', lab.far],
    ] as const) {
      for (const address of [lab.vip, `[${lab.vip6}]`]) {
        const copy = join(lab.directory, 'copy');
        const curl = ['curl', '-sS', '--globoff', '--max-time', '10'];
        const down = await host.run([...curl, '-o', copy, `http://${address}/content`]);
        t.match(down, { code: 0, stderr: '' }, `${name}, ${address}: down`);
        t.ok(down.code === 0 && readFileSync(copy).equals(content), 'whole');
        const up = await host.run([...curl, '-T', file, `http://${address}/upload/${name}`]);
        t.match(up, { code: 0, stdout: '', stderr: '' }, `${name}, ${address}: up`);
      }
      for (const address of [lab.vip, lab.vip6]) {
        const { stdout } = await host.run(['ip', 'route', 'get', address]);
        mtus.push(Number(/ mtu (\d+)/.exec(stdout)?.[1] ?? 0));
      }
    }
    const behind = { nat: [1400, 1400], direct: [1400, 1400], tunnel: [1380, 1360] }[routing];
    t.same(mtus.slice(0, 2), behind, 'the client was told how large packets may be');
    t.notMatch(directord.stderr, /lost|dropped|could not be sent/);
  };
  packetScenario(`narrow paths before and behind the director, by ${routing}`, body, {
    routing,
    offloads: 'off',
    far: true,
  });
}
