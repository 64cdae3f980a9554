import type { Test } from 'tap';
import type { Lab, WebServer } from './lab.ts';
import { directord } from './lab/paths.ts';
import { scenario } from './scenario.ts';

/** Both in the network of the real servers, so that a real server could answer for them. */
const vip = '10.2.0.100';
/** Ends like the address of rs1: their neighbour solicitations go to the same multicast group. */
const vip6 = '2001:db8:2:1::11';

const config = (lab: Lab, forwarding: string): string =>
  lab.writeConfig(`virtual=${vip}:80
    real=10.2.0.11:80 ${forwarding}
virtual=${vip}:81
    real=10.2.0.11:80 ${forwarding}
virtual6=[${vip6}]:80
    real6=[2001:db8:2::11]:80 ${forwarding}
virtual6=[${vip6}]:81
    real6=[2001:db8:2::11]:80 ${forwarding}
`);

/** What the director does in direct routing: a frame to the real server's MAC, addressed to the virtual address. */
async function routeThroughRs1(lab: Lab): Promise<void> {
  await must(lab.client, `ip route add ${vip} via 10.1.0.1`);
  await must(lab.client, `ip -6 route add ${vip6} via 2001:db8:1::1`);
  await must(lab.director, `ip route add ${vip} via 10.2.0.11`);
  await must(lab.director, `ip -6 route add ${vip6} via 2001:db8:2::11`);
}

function server(lab: Lab, index: number): WebServer {
  const found = lab.servers[index];
  if (found === undefined) throw new Error(`the lab has no server ${index}`);
  return found;
}

async function must(host: Lab['client'], command: string): Promise<string> {
  const { code, stdout, stderr } = await host.run(['sh', '-c', command]);
  if (code !== 0) throw new Error(`${host.name}: ${command}: ${stderr}`);
  return stdout;
}

/** Everything that --apply may change. The rules of somebody else are there before and must stay. */
async function state(lab: Lab): Promise<string> {
  const rs1 = server(lab, 0).host;
  return must(
    rs1,
    `ip address
     for save in iptables-save ip6tables-save; do $save | sed -e '/^#/d' -e 's/\\[.*//'; done
     sysctl -a 2>/dev/null | grep -E '^net[.]ipv[46][.]conf'`,
  );
}

async function somebodyElsesRules(lab: Lab): Promise<void> {
  const rs1 = server(lab, 0).host;
  for (const command of ['iptables', 'ip6tables'])
    await must(rs1, `${command} -t nat -A PREROUTING -p tcp --dport 2222 -j REDIRECT --to-ports 22`);
  await must(rs1, 'sysctl -w net.ipv4.conf.all.arp_announce=1');
}

async function realserver(t: Test, lab: Lab, code: number, ...args: readonly string[]): Promise<string> {
  const finished = await server(lab, 0).host.run([directord, 'realserver', ...args]);
  t.equal(finished.code, code, `${args.slice(1).join(' ')}: ${finished.stderr}`);
  return `${finished.stdout}${finished.stderr}`;
}

scenario('a real server by REDIRECT rules answers for addresses that it does not have', async (t, lab) => {
  const file = config(lab, 'gate');
  await routeThroughRs1(lab);
  await somebodyElsesRules(lab);
  const before = await state(lab);
  t.match((await lab.curl(1, `http://${vip}/`))[0], /^curl: /, 'nobody answers before');
  await realserver(t, lab, 0, file, '--via', 'iptables', '--apply');
  for (const url of [`http://${vip}/`, `http://${vip}:81/`, `http://[${vip6}]/`, `http://[${vip6}]:81/`])
    t.same(await lab.curl(1, url), ['rs1'], url);
  t.match((await lab.curl(1, `http://${vip}:82/`))[0], /^curl: /, 'another port is not taken');
  t.match(await realserver(t, lab, 0, file, '--via', 'iptables', '--apply'), /nothing had to be done/);
  await realserver(t, lab, 0, file, '--remove');
  t.equal(await state(lab), before, 'everything is as it was');
  t.match(await realserver(t, lab, 0, file, '--remove'), /nothing to remove/);
});

scenario('a real server with the address on lo accepts it and does not announce it', async (t, lab) => {
  const rs1 = server(lab, 0);
  const file = config(lab, 'gate');
  await routeThroughRs1(lab);
  await somebodyElsesRules(lab);
  const before = await state(lab);
  await realserver(t, lab, 0, file, '--apply');
  t.match(await must(rs1.host, 'ip address show dev lo'), /inet 10\.2\.0\.100\/32/);
  lab.helper(rs1.host, 'web-server', vip, 80, rs1.folder);
  lab.helper(rs1.host, 'web-server', vip6, 80, rs1.folder);
  for (const url of [`http://${vip}/`, `http://[${vip6}]/`]) {
    let answer: readonly string[] = [];
    for (let i = 0; i < 20 && answer[0] !== 'rs1'; i += 1) answer = await lab.curl(1, url);
    t.same(answer, ['rs1'], url);
  }

  // Another host of the same network asks who has the address: by multicast or broadcast, and straight at rs1.
  const rs2 = server(lab, 1).host;
  await must(rs2, `ip -6 route add ${vip6} dev eth0`);
  const mac = /ether (\S+)/.exec(await must(rs1.host, 'ip link show eth0'))?.[1] ?? '';
  const stale = `ip neigh replace ${vip} lladdr ${mac} dev eth0 nud probe; ip neigh replace ${vip6} lladdr ${mac} dev eth0 nud probe`;
  for (const [how, prepare] of [
    ['asked by broadcast', 'true'],
    ['asked straight', `${stale}; sleep 4`],
  ] as const) {
    await must(rs2, prepare);
    await rs2.run(['ping', '-c1', '-W1', vip]);
    await rs2.run(['ping', '-c1', '-W1', vip6]);
    const table = await must(rs2, 'ip neigh');
    t.notMatch(table, new RegExp(`^(${vip}|${vip6}) .*lladdr`, 'm'), how);
  }
  // What rs1 sends from the virtual address does not make its neighbours learn it either.
  await must(rs2, 'ip neigh flush dev eth0');
  await must(rs1.host, 'ip neigh flush dev eth0');
  await must(
    rs1.host,
    `ping -c1 -W1 -I ${vip} 10.2.0.12 || true; ping -c1 -W1 -I ${vip6} 2001:db8:2::12 || true`,
  );
  t.notMatch(
    await must(rs2, 'ip neigh'),
    new RegExp(`^(${vip}|${vip6}) .*lladdr`, 'm'),
    'not by asking itself',
  );

  await realserver(t, lab, 0, file, '--remove');
  t.equal(await state(lab), before, 'everything is as it was');
});

scenario('a step that fails ends --apply; --remove takes back what was done', async (t, lab) => {
  const rs1 = server(lab, 0).host;
  const file = config(lab, 'ipip');
  await somebodyElsesRules(lab);
  const before = await state(lab);
  // Without the kernel's ipip module the tunnel cannot be had; where there is one, another step has to fail.
  const { code, stdout, stderr } = await rs1.run([directord, 'realserver', file, '--apply']);
  t.match(
    stdout,
    /^\+ sysctl -w net\.ipv4\.conf\.all\.arp_ignore=1$/m,
    'the settings come before the address',
  );
  if (code === 0) t.match(await must(rs1, 'ip address show dev tunl0'), /inet 10\.2\.0\.100\/32/);
  else {
    t.match(stderr, /^failed: modprobe ipip\n.*ipip.*\n2 of \d+ steps were done and stay/m);
    t.match(await must(rs1, 'sysctl net.ipv4.conf.all.arp_ignore'), / = 1/, 'what was done stays');
  }
  await realserver(t, lab, 0, file, '--remove');
  t.equal(await state(lab), before, 'everything is as it was');
});
