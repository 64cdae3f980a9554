import { scenario, tally } from './scenario.ts';
import { waitFor } from './lab.ts';

scenario('a UDP service: replies come from the VIP, a client stays with its server', async (t, lab) => {
  const echoes = lab.servers.map((s) => lab.helper(s.host, 'udp-echo', s.address, 5353, s.name));
  await waitFor('the echo servers', 10, () => echoes.every((echo) => echo.lines()[0] === 'ready'));
  await lab.startDirectord('--no-monitor', 'start');
  const rules = ['-A -u 10.1.0.100:5353 -s rr'];
  for (const { address } of lab.servers) rules.push(`-a -u 10.1.0.100:5353 -r ${address}:5353 -m`);
  t.match(await lab.admInput(`${rules.join('\n')}\n`, '-R'), { code: 0, stderr: '' });

  const { stdout } = await lab.helper(lab.client, 'udp-client', lab.vip, 5353, 6, 3).exited;
  const replies = stdout.trim().split('\n');
  t.equal(replies.length, 18, 'a line for each datagram');
  const good = replies.filter((line) => /"text":"rs\d hello.*"from":"10\.1\.0\.100","port":5353/.test(line));
  t.same(good, replies, 'each with a reply from the VIP');
  const pairs = stdout.matchAll(/"client":(\d),"text":"(rs\d)/g);
  const flows = tally([...pairs].map(([, client = '', server = '']) => `${client} ${server}`));
  t.same(Object.values(flows), [3, 3, 3, 3, 3, 3], 'every client kept one server');
  const servers = tally(Object.keys(flows).map((flow) => flow.slice(2)));
  t.same(servers, { rs1: 2, rs2: 2, rs3: 2 }, 'and the clients are spread');
  const listed = (await lab.services())[0]?.destinations.map(({ inactive }) => inactive);
  t.same(listed, [2, 2, 2], 'the listing counts the flows as inactive connections');
});
