import type { Test } from 'tap';
import { scenario, tally } from './scenario.ts';
import { waitFor } from './lab.ts';

const heading = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
`;

scenario('directoradm runs a director alone', async (t, lab) => {
  await lab.startDirectord('--no-monitor', 'start');
  const service = ['-t', '10.1.0.100:80'];
  const adm = async (t: Test, ...args: readonly string[]) => {
    t.same(await lab.adm(...args), { code: 0, signal: null, stdout: '', stderr: '' }, args.join(' '));
  };
  t.equal((await lab.adm('-L', '-n')).stdout, heading, 'an empty table');

  await adm(t, '-A', ...service, '-s', 'rr');
  for (const number of [11, 12, 13]) await adm(t, '-a', ...service, '-r', `10.2.0.${number}:80`, '-m');
  t.same(
    await lab.curl(7),
    ['rs3', 'rs2', 'rs1', 'rs3', 'rs2', 'rs1', 'rs3'],
    'rr walks the servers newest first, as the kernel does',
  );
  const rules = (await lab.adm('-S', '-n')).stdout;
  t.equal(
    rules,
    `-A -t 10.1.0.100:80 -s rr
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1
-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1
-a -t 10.1.0.100:80 -r 10.2.0.13:80 -m -w 1
`,
    'saved',
  );

  await t.test('quiescence', async (t) => {
    const clients = lab.helper(lab.client, 'idle-clients', lab.vip, lab.port, 6);
    await waitFor('six connections', 5, () => clients.lines()[0] === '{"open":6,"refused":0}');
    await adm(t, '-e', ...service, '-r', '10.2.0.12:80', '-m', '-w', '0');
    t.same(tally(await lab.curl(6)), { rs1: 3, rs3: 3 }, 'weight 0 gets no new connections');
    const listed = (await lab.services())[0]?.destinations.find(
      ({ endpoint }) => endpoint === '10.2.0.12:80',
    );
    t.match(listed, { weight: 0, active: 2 }, 'and keeps its two old ones');
    clients.write('ask\n');
    await waitFor('answers', 5, () => clients.lines().length === 2);
    t.same(clients.lines()[1], '{"answered":6,"closed":0}', 'which still work');
    clients.end();
  });

  await t.test('save, clear, restore', async (t) => {
    await adm(t, '-C');
    t.equal((await lab.adm('-L', '-n')).stdout, heading, 'cleared');
    t.match(await lab.curl(1), [/Couldn't connect|refused/], 'the address answers no more');
    t.match(await lab.admInput(rules, '-R'), { code: 0, stderr: '' }, 'restored');
    t.equal((await lab.adm('-S', '-n')).stdout, rules, 'as it was');
    t.same(tally(await lab.curl(6)), { rs1: 2, rs2: 2, rs3: 2 }, 'and serves');
  });

  await t.test('weights', async (t) => {
    await adm(t, '-E', ...service, '-s', 'wrr');
    for (const [number, weight] of [
      [11, 4],
      [12, 2],
      [13, 1],
    ]) {
      await adm(t, '-e', ...service, '-r', `10.2.0.${number ?? 0}:80`, '-m', '-w', String(weight));
    }
    t.same(tally(await lab.curl(14)), { rs1: 8, rs2: 4, rs3: 2 }, 'wrr serves by weight');
  });

  await t.test('delete', async (t) => {
    await adm(t, '-d', ...service, '-r', '10.2.0.11:80');
    t.same(Object.keys(tally(await lab.curl(6))).sort(), ['rs2', 'rs3'], 'a deleted server serves no more');
    await adm(t, '-D', ...service);
    t.equal((await lab.adm('-L', '-n')).stdout, heading, 'nothing left');
    t.match(await lab.adm('-D', ...service), { code: 255, stderr: 'No such service\n' }, 'deleted once');
  });
});
