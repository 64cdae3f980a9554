import type { scenario } from './scenario.ts';
import { packetScenario, tally } from './scenario.ts';

const inListings = { masq: ['Masq', '-m'], gate: ['Route', '-g'], ipip: ['Tunnel', '-i'] } as const;

for (const routing of ['nat', 'direct', 'tunnel'] as const) {
  const body: Parameters<typeof scenario>[1] = async (t, lab) => {
    const [listed, option] = inListings[lab.forwarding];
    const inKernel = async (): Promise<string> => {
      const commands = 'nft list ruleset; ethtool -k front; ethtool -k back';
      return (await lab.director.run(['sh', '-c', commands])).stdout;
    };
    const before = await inKernel();

    const program = await lab.startDirectord(lab.writeConfig(lab.usualConfig()), 'start');
    await lab.untilPool(lab.servers, 10);
    const [service] = await lab.services();
    t.same(
      service?.destinations.map(({ forwarding }) => forwarding),
      [listed, listed, listed],
    );
    const page = `http://${lab.vip}/client.html`;
    t.same(
      tally(await lab.curl(6, page)),
      { 'rs1 10.1.0.2': 2, 'rs2 10.1.0.2': 2, 'rs3 10.1.0.2': 2 },
      'every server answers in its turn and sees the client itself',
    );
    const far = await lab.far.run(['curl', '-sS', '--max-time', '5', page, page]);
    t.match(far, { code: 0, stdout: /^rs\d 10\.3\.0\.2\nrs\d 10\.3\.0\.2\n$/ }, 'and one behind a router');

    const reals = lab.servers.map(({ address6 }) => `-a -t [${lab.vip6}]:80 -r [${address6 ?? ''}]:80`);
    const rules = [`-A -t [${lab.vip6}]:80 -s rr`, ...reals.map((rule) => `${rule} ${option}`)];
    t.match(await lab.admInput(`${rules.join('\n')}\n`, '-R'), { code: 0, stderr: '' });
    t.same(
      tally(await lab.curl(3, `http://[${lab.vip6}]/client.html`)),
      { 'rs1 2001:db8:1::2': 1, 'rs2 2001:db8:1::2': 1, 'rs3 2001:db8:1::2': 1 },
      'the same by IPv6',
    );

    if (routing === 'nat') {
      const urls = [page, `http://[${lab.vip6}]/client.html`];
      const own = await lab.director.run(['curl', '-sS', '--max-time', '5', ...urls]);
      const seen = new RegExp(`^rs\\d ${lab.vip}\nrs\\d ${lab.vip6}\n$`);
      t.match(own, { code: 0, stdout: seen }, 'a program on the director is a client like others');
    }

    await lab.servers[0]?.kill();
    await lab.untilPool(lab.servers.slice(1), 10);
    t.same(tally(await lab.curl(4, page)), { 'rs2 10.1.0.2': 2, 'rs3 10.1.0.2': 2 }, 'without a dead one');

    const { code, stderr } = await program.stop();
    t.same({ code, stderr }, { code: 0, stderr: '' }, 'it ends without a complaint');
    t.equal(await inKernel(), before, 'packet filter and offloads are as they were');
  };
  const name = { nat: 'NAT', direct: 'direct routing', tunnel: 'tunnels' }[routing];
  packetScenario(`forwarding by ${name}`, body, { routing, far: true });
}
