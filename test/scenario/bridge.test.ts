import { waitFor } from './lab.ts';
import { packetScenario, tally } from './scenario.ts';

/** As docker switches it on: iptables and nft see the frames between the ports of a bridge. */
const filterBridges = `cd /proc/sys/net/bridge || exit 1
for one in iptables ip6tables; do echo 1 >bridge-nf-call-$one || exit 1; done`;

packetScenario(
  'a director whose real servers are behind a bridge of its own',
  async (t, lab) => {
    const { code } = await lab.director.run(['sh', '-c', filterBridges]);
    if (code !== 0) t.comment('the kernel has no br_netfilter');
    const program = await lab.startDirectord(lab.writeConfig(lab.usualConfig()), 'start');
    await lab.untilPool(lab.servers, 10);
    const page = `http://${lab.vip}/client.html`;
    const page6 = `http://[${lab.vip6}]/client.html`;
    const reals = lab.servers.map(({ address6 }) => `-a -t [${lab.vip6}]:80 -r [${address6 ?? ''}]:80 -m`);
    const rules = [`-A -t [${lab.vip6}]:80 -s rr`, ...reals];
    t.match(await lab.admInput(`${rules.join('\n')}\n`, '-R'), { code: 0, stderr: '' });
    const expected = { 'rs1 10.1.0.2': 1, 'rs2 10.1.0.2': 1, 'rs3 10.1.0.2': 1 };
    const expected6 = { 'rs1 2001:db8:1::2': 1, 'rs2 2001:db8:1::2': 1, 'rs3 2001:db8:1::2': 1 };
    t.same(tally(await lab.curl(3, page)), expected, 'replies come back through the bridge');
    t.same(tally(await lab.curl(3, page6)), expected6, 'the same by IPv6');

    await lab.director.run(['nft', 'flush ruleset']);
    const told = /somebody removed the rules that keep the kernel off the virtual services; they are back/;
    // only the packet engine needs any
    if (lab.engine === 'packet') await waitFor('directord to notice', 10, () => told.test(lab.log()));
    t.same(tally(await lab.curl(3, page)), expected, 'after somebody flushed the packet filter');

    const pulled = 'ip link set front down; sleep 2; nft list ruleset; ip link set front up';
    const { stdout } = await lab.director.run(['sh', '-c', pulled]);
    if (lab.engine === 'packet')
      t.match(stdout, /device "front"/, 'an interface that is down stays guarded: connections outlive that');
    await waitFor(
      'the way to the director',
      10,
      async () => (await lab.curl(1, page))[0]?.startsWith('rs') === true,
    );

    const { code: stopped, stderr } = await program.stop();
    t.same({ code: stopped, stderr }, { code: 0, stderr: '' }, 'it ends without a complaint');
  },
  { bridge: true },
);
