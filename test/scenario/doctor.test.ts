import type { Test } from 'tap';
import type { Lab, WebServer } from './lab.ts';
import { directord } from './lab/paths.ts';
import { scenario } from './scenario.ts';

type Host = Lab['director'];

function server(lab: Lab, index: number): WebServer {
  const found = lab.servers[index];
  if (found === undefined) throw new Error(`the lab has no server ${index}`);
  return found;
}

async function must(host: Host, command: string): Promise<void> {
  const { code, stderr } = await host.run(['sh', '-c', command]);
  if (code !== 0) throw new Error(`${host.name}: ${command}: ${stderr}`);
}

async function doctor(
  host: Host,
  ...args: readonly string[]
): Promise<{ code: number | null; text: string }> {
  const { code, stdout, stderr } = await host.run([directord, 'doctor', ...args]);
  return { code, text: `${stdout}${stderr}` };
}

interface Fault {
  /** Makes it, in the shell of the host. */
  readonly fault: string;
  readonly finding: RegExp;
  /** Undefined: the command that the doctor names. */
  readonly mend?: string;
}

/** Each fault is found, and is no longer when it is mended; with `FAIL` the exit status says so. */
async function expectFindings(
  t: Test,
  host: Host,
  args: readonly string[],
  faults: readonly Fault[],
): Promise<void> {
  for (const { fault, finding, mend } of faults) {
    await must(host, fault);
    const sick = await doctor(host, ...args);
    t.match(sick.text, finding, fault);
    const found = finding.exec(sick.text)?.[0] ?? '';
    if (found.startsWith('FAIL')) t.equal(sick.code, 1, 'the exit status of a FAIL');
    const named = sick.text
      .split('\n')
      .find((line) => line.startsWith(found.split('\n')[0] ?? '\n'))
      ?.split(' -> ')[1];
    await must(host, mend ?? named ?? 'false');
    t.notMatch((await doctor(host, ...args)).text, finding, `mended by: ${mend ?? named ?? ''}`);
  }
}

/** @returns the arguments */
async function packetDirector(lab: Lab): Promise<readonly string[]> {
  const config = lab.writeConfig(`virtual=10.1.0.100:80
    real=10.2.0.11:80 masq
    real=10.2.0.12:80 gate
    fallback=127.0.0.1:80 gate
virtual6=[2001:db8:1::100]:80
    real6=[2001:db8:2::11]:80 masq
`);
  // As in most networks, this host has a default route.
  await must(lab.director, 'ip route add default via 10.1.0.2; ip -6 route add default via 2001:db8:1::2');
  return [config, '--engine', 'packet'];
}

scenario('doctor: a director with the packet engine', async (t, lab) => {
  const args = await packetDirector(lab);
  const well = await doctor(lab.director, ...args);
  t.equal(well.code, 0, well.text);
  t.match(
    well.text,
    /, packet engine\n(ok .*\n)+\d+ ok, 0 warn, 0 FAIL\n$/,
    'a good host has only good marks',
  );
  await expectFindings(t, lab.director, args, [
    {
      fault: 'sysctl -w net.ipv4.conf.all.rp_filter=1',
      finding: /^FAIL {2}rp_filter of lo: 1 \(strict, by conf\.all\).*127\.0\.0\.1/m,
    },
    { fault: 'sysctl -w net.ipv4.conf.all.arp_ignore=8', finding: /^FAIL {2}arp_ignore: 8/m },
    {
      fault: 'ip address del 10.1.0.100/32 dev front',
      finding: /^warn {2}virtual address 10\.1\.0\.100: not on this host/m,
    },
    {
      fault: 'ip address del 10.1.0.100/32 dev front; ip address add 10.1.0.100/32 dev lo',
      finding: /^FAIL {2}virtual address 10\.1\.0\.100: on lo as \/32: and arp_ignore/m,
      mend: 'sysctl -w net.ipv4.conf.all.arp_ignore=0',
    },
    {
      fault:
        'ip address del 10.1.0.100/32 dev lo; ip address add 10.1.0.100/32 dev front; ip -6 address del 2001:db8:1::100/128 dev front; ip -6 address add 2001:db8:1::100/128 dev lo',
      finding: /^FAIL {2}virtual address 2001:db8:1::100: on lo as \/128: neighbour discovery/m,
      mend: 'ip -6 address del 2001:db8:1::100/128 dev lo; ip -6 address add 2001:db8:1::100/128 dev front nodad',
    },
  ]);
});

scenario('doctor: the way to the real servers', async (t, lab) => {
  await expectFindings(t, lab.director, await packetDirector(lab), [
    {
      fault: 'ip route add 10.2.0.12 via 10.2.0.13',
      finding:
        /^FAIL {2}real server 10\.2\.0\.12: gate, by 10\.2\.0\.13 on back: direct routing reaches hosts/m,
      mend: 'ip route del 10.2.0.12',
    },
    {
      fault: 'ip route add 10.2.0.11 via 10.2.0.13',
      finding:
        /^warn {2}real server 10\.2\.0\.11: masq, by 10\.2\.0\.13 on back: its replies must come back/m,
      mend: 'ip route del 10.2.0.11',
    },
    {
      fault: 'ip route add unreachable 10.2.0.11',
      finding: /^FAIL {2}real server 10\.2\.0\.11: no route to it/m,
      mend: 'ip route del unreachable 10.2.0.11',
    },
    {
      fault: 'ip route add 10.2.0.12 dev back src 10.1.0.100',
      finding:
        /^FAIL {2}route to 10\.2\.0\.12: health checks of this gate server come from the virtual address 10\.1\.0\.100/m,
      mend: 'ip route del 10.2.0.12',
    },
    {
      fault: 'ip route replace default via 10.2.0.13',
      finding:
        /^warn {2}send_redirects of back: 1: masq real servers and the way to the clients are on one interface/m,
    },
    {
      fault: 'ip link set back mtu 1400',
      finding: /^warn {2}MTU to 10\.2\.0\.11: 1400 bytes, and clients send up to 1500/m,
    },
  ]);
});

scenario('doctor: packet filters', async (t, lab) => {
  await expectFindings(t, lab.director, await packetDirector(lab), [
    {
      fault:
        'nft add table ip t; nft add chain ip t out "{ type filter hook output priority 0; }"; nft add rule ip t out ip daddr 10.2.0.0/24 tcp dport 80 drop',
      finding: /^FAIL {2}this host to real server 10\.2\.0\.11: dropped by nft rule ip t out handle \d+/m,
    },
    {
      // Local delivery passes the kernel's rules; what is forwarded was taken before them.
      fault: 'iptables -A INPUT -d 10.1.0.100 -p tcp -m tcp --dport 80 -j REJECT',
      finding: /^FAIL {2}tcp:10\.1\.0\.100:80 from clients: dropped by iptables -t filter -A INPUT/m,
    },
    {
      fault: 'iptables -A OUTPUT -d 10.2.0.11 -m owner --uid-owner 12345 -j DROP',
      finding:
        /^warn {2}this host to real server 10\.2\.0\.11: may be dropped by iptables -t filter -A OUTPUT/m,
    },
  ]);
});

scenario('doctor: a director with the relay engine', async (t, lab) => {
  const config = lab.writeConfig('virtual=10.1.0.100:80\n    real=10.2.0.11:80 masq\n');
  const args = [config, '--engine', 'relay'];
  t.match((await doctor(lab.director, ...args)).text, / 0 warn, 0 FAIL\n$/);
  await expectFindings(t, lab.director, args, [
    {
      fault: 'sysctl -w net.ipv4.conf.front.rp_filter=1',
      finding: /^warn {2}rp_filter of front: 1 \(strict\): clients beyond its own networks are dropped/m,
    },
    {
      fault: 'ip address del 10.1.0.100/32 dev front',
      finding:
        /^FAIL {2}virtual address 10\.1\.0\.100: not on this host: the relay engine cannot listen on it/m,
      mend: 'ip address add 10.1.0.100/32 dev front',
    },
    {
      fault: 'ip link set front down',
      finding: /^FAIL {2}virtual address 10\.1\.0\.100: on front as \/32, which is down/m,
    },
    {
      fault:
        'iptables -P INPUT DROP; iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT; iptables -A INPUT -p icmp -j ACCEPT',
      finding:
        /^FAIL {2}tcp:10\.1\.0\.100:80 from clients: dropped by the policy of iptables -t filter INPUT/m,
      mend: 'iptables -A INPUT -p tcp -m multiport --dports 443,80 -j ACCEPT',
    },
    {
      fault: `nft add table inet w; nft add chain inet w in "{ type filter hook input priority 10; }"; nft add rule inet w in tcp dport "{ 80, 443 }" ip saddr != 10.0.0.0/8 reject`,
      finding: /^warn {2}tcp:10\.1\.0\.100:80 from clients: may be dropped by nft rule inet w in handle \d+/m,
    },
  ]);
  const squatter = lab.helper(lab.director, 'web-server', '10.1.0.100', 80, lab.directory);
  let text = '';
  for (let i = 0; i < 10 && !text.includes('listens on'); i += 1)
    text = (await doctor(lab.director, ...args)).text;
  t.match(
    text,
    /^FAIL {2}tcp:10\.1\.0\.100:80: \S+ listens on 10\.1\.0\.100 port 80: the relay engine cannot/m,
  );
  await squatter.stop();
  t.notMatch((await doctor(lab.director, ...args)).text, /listens on/);
  await server(lab, 0).kill();
  await must(server(lab, 0).host, 'ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:01');
  await must(lab.director, 'ip neigh flush dev back');
  t.match(
    (await doctor(lab.director, ...args)).text,
    /^FAIL {2}real server 10\.2\.0\.11: does not answer ARP/m,
  );
});

scenario('doctor: real servers', async (t, lab) => {
  const [rs1, rs2, rs3] = lab.servers.map(({ host }) => host) as [Host, Host, Host];
  const config = lab.writeConfig(`virtual=10.1.0.100:80
    real=10.2.0.11:80 gate
    real=10.2.0.12:80 ipip
    real=10.2.0.13:80 masq
`);
  const unprepared = await doctor(rs1, config);
  t.equal(unprepared.code, 1);
  t.match(unprepared.text, /^FAIL {2}tcp:10\.1\.0\.100:80: 10\.1\.0\.100 is not accepted by this host/m);
  for (const [way, found] of [
    ['iptables', 'accepted by a REDIRECT rule'],
    ['arp', 'on lo'],
  ] as const) {
    const { code } = await rs1.run([directord, 'realserver', config, '--apply', '--via', way]);
    t.equal(code, 0, way);
    const prepared = await doctor(rs1, config);
    t.match(
      prepared.text,
      new RegExp(`^ok {4}tcp:10\\.1\\.0\\.100:80: 10\\.1\\.0\\.100 is ${found}$`, 'm'),
      way,
    );
    t.equal(prepared.code, 0, prepared.text);
  }
  await expectFindings(
    t,
    rs1,
    [config],
    [
      {
        fault: 'sysctl -w net.ipv4.conf.all.arp_ignore=0',
        finding: /^FAIL {2}arp_ignore: 0 on eth0: it answers ARP/m,
      },
      { fault: 'sysctl -w net.ipv4.conf.all.arp_announce=0', finding: /^FAIL {2}arp_announce: 0 on eth0/m },
      {
        fault: 'ip address del 10.1.0.100/32 dev lo; ip address add 10.1.0.100/32 dev eth0',
        finding:
          /^warn {2}tcp:10\.1\.0\.100:80: 10\.1\.0\.100 is on eth0 of 10\.2\.0\.11, a real server: right on the director only/m,
        mend: 'ip address del 10.1.0.100/32 dev eth0; ip address add 10.1.0.100/32 dev lo',
      },
    ],
  );
  t.match(
    (await doctor(rs2, config)).text,
    /^FAIL {2}tcp:10\.1\.0\.100:80: tunl0, which unwraps packets, is (missing|down)/m,
  );
  t.match(
    (await doctor(rs3, config)).text,
    /^ok {4}tcp:10\.1\.0\.100:80: replies to clients leave by 10\.2\.0\.1;/m,
  );
  await must(rs3, 'ip route del default');
  t.match((await doctor(rs3, config)).text, /^FAIL {2}tcp:10\.1\.0\.100:80: no default route/m);
});
