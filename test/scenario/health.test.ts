import { scenario, tally } from './scenario.ts';
import { waitFor } from './lab.ts';

scenario('servers leave and return with their test page, and no client notices', async (t, lab) => {
  const { servers, fallback } = lab;
  const config = lab.writeConfig(lab.usualConfig());

  t.equal((await lab.directord(config, 'check')).code, 0, 'the file is good');
  t.equal((await lab.directord(config, 'status')).code, 3, 'nothing runs yet');
  t.match(await lab.directord('--engine', 'relay', config, 'start'), { code: 0 }, 'start returns at once');
  await lab.untilPool(servers, 10);
  t.equal((await lab.directord(config, 'status')).code, 0, 'status finds the daemon');

  const answers = await lab.curl(30);
  t.same(tally(answers), { rs1: 10, rs2: 10, rs3: 10 }, 'round robin spreads exactly');
  t.same(answers.slice(3), answers.slice(0, -3), 'in the same order again and again');

  const client = lab.helper(lab.client, 'steady-client', lab.url, 10);
  await waitFor('the client to be served', 5, () => client.lines().length > 20);

  for (const sick of servers) {
    sick.remove('test.html');
    const well = servers.filter((server) => server !== sick);
    const seconds = await lab.untilPool(well, 4);
    t.ok(seconds < 3, `${sick.name} left the pool after ${seconds.toFixed(1)} s`);
    t.notMatch(await lab.curl(6), [sick.name], `${sick.name} gets no requests`);
    sick.write('test.html', 'OK\n');
    await lab.untilPool(servers, 4);
  }
  t.same(Object.keys(tally(await lab.curl(20))).sort(), ['rs1', 'rs2', 'rs3'], 'all are back in service');

  servers[0]?.write('test.html', 'under repair\n');
  servers[1]?.remove('test.html');
  await servers[2]?.kill();
  await lab.untilPool([fallback], 4);
  t.same(tally(await lab.curl(5)), { fallback: 5 }, 'with no real server left the fallback serves');
  servers[1]?.write('test.html', 'OK\n');
  await lab.untilPool(servers.slice(1, 2), 4);
  t.same(tally(await lab.curl(5)), { rs2: 5 }, 'and makes way for the first that returns');

  client.end();
  const seen = (await client.exited).stdout.trim().split('\n');
  const failures = seen.filter((line) => line.startsWith('FAILED'));
  // the requests that rs3 was serving when its process was killed
  t.ok(failures.length <= 5, `${failures.length} of ${seen.length} requests failed: ${failures.join(', ')}`);

  t.match(lab.log(), /Deleted real server: 10\.2\.0\.12:80 \(10\.1\.0\.100:80\)/, 'the log says who left');
  t.match(lab.log(), /Added fallback server: 10\.2\.0\.20:80 \(10\.1\.0\.100:80\)/, 'and who jumped in');
  t.equal((await lab.directord(config, 'stop')).code, 0, 'stop');
  await waitFor('the daemon to end', 5, async () => (await lab.directord(config, 'status')).code === 3);
  t.match(await lab.curl(1), [/Connection refused|Couldn't connect/], 'nothing listens any more');
});

scenario('without a killed server not one request fails', async (t, lab) => {
  const { servers, fallback } = lab;
  await lab.startDirectord(lab.writeConfig(lab.usualConfig()), 'start');
  await lab.untilPool(servers, 10);
  const client = lab.helper(lab.client, 'steady-client', lab.url, 2);
  for (let round = 0; round < 2; round += 1) {
    for (const server of servers) server.remove('test.html');
    await lab.untilPool([fallback], 4);
    for (const server of servers) server.write('test.html', 'OK\n');
    await lab.untilPool(servers, 4);
  }
  client.end();
  const seen = (await client.exited).stdout.trim().split('\n');
  t.ok(seen.length > 200, `${seen.length} requests`);
  t.same(
    seen.filter((line) => line.startsWith('FAILED')),
    [],
    'all served',
  );
  t.same(Object.keys(tally(seen)).sort(), ['fallback', 'rs1', 'rs2', 'rs3'], 'by all of them in turn');
});
