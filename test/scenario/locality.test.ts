import type { Lab } from './lab.ts';
import { waitFor } from './lab.ts';
import { helper } from './lab/paths.ts';
import { packetScenario, scenario, tally } from './scenario.ts';

/** Serves a folder named `director/www` on every address of the director. */
async function startWebServer(lab: Lab): Promise<void> {
  const folder = `${lab.directory}/director/www`;
  await lab.director.run(['mkdir', '-p', folder]);
  await lab.director.run(['sh', '-c', `echo director >${folder}/index.html`]);
  lab.director.start([process.execPath, helper('web-server'), '0.0.0.0', '80', folder]);
  await waitFor('the director to serve', 10, async () => {
    const { stdout } = await lab.director.run(['curl', '-s', 'http://127.0.0.1/']);
    return stdout === 'director\n';
  });
}

packetScenario('the director itself serves: as fallback, and as a real server', async (t, lab) => {
  await startWebServer(lab);
  const reals = lab.servers.map(({ endpoint }) => `    real=${endpoint} masq\n`).join('');
  const file = lab.writeConfig(
    lab.usualConfig([]).replace(/ {4}fallback=.*\n/, `${reals}    fallback=127.0.0.1:80\n`),
  );
  await lab.startDirectord(file, 'start');
  await lab.untilPool(lab.servers, 10);
  t.same(tally(await lab.curl(3)), { rs1: 1, rs2: 1, rs3: 1 }, 'its own web server is not in the way');

  for (const server of lab.servers) server.remove('test.html');
  await lab.untilPoolOf(['127.0.0.1:80'], 10);
  t.same(await lab.curl(2), ['director', 'director'], 'without any real server the fallback answers');
  const asked = await lab.curl(1, `http://${lab.vip}/client.html`);
  t.same(asked, ['director 10.1.0.2'], 'and sees the client');
  t.match((await lab.adm('-L', '-n')).stdout, /127\.0\.0\.1:80 +Route +1 +\d+ +[1-9]/, 'it is counted');

  for (const server of lab.servers) server.write('test.html', 'OK\n');
  await lab.untilPool(lab.servers, 10);
  t.match(await lab.adm('-a', '-t', `${lab.vip}:80`, '-r', '10.2.0.1:80', '-g'), { code: 0, stderr: '' });
  t.same(
    tally(await lab.curl(8)),
    { rs1: 2, rs2: 2, rs3: 2, director: 2 },
    'as a real server it has its turn',
  );
});

packetScenario(
  'a client on the network of the real servers: the log says why it hears nothing',
  async (t, lab) => {
    await lab.startDirectord(lab.writeConfig(lab.usualConfig(['real=10.2.0.11:80 masq'])), 'start');
    await lab.untilPool(lab.servers.slice(0, 1), 10);
    const [, , neighbour] = lab.servers;
    const request = await neighbour?.host.run(['curl', '-sS', '--max-time', '4', lab.url]);
    t.match(request, { code: 28 }, 'it waits in vain');
    const line =
      /no reply of 10\.2\.0\.11:80 of \S+ came through the director, .*10\.2\.0\.13.*: client and real server are on the same network, where replies bypass the director/;
    await waitFor(
      'the diagnosis',
      8,
      () => line.test(lab.log()),
      () => lab.log(),
    );
    t.match(lab.log(), line, 'and the log says why');
    t.same(await lab.curl(2), ['rs1', 'rs1'], 'others are served');
  },
);

// of the ebpf engine selftest.test.ts and the stories show it
scenario(
  'persistence keeps clients at their server',
  async (t, lab) => {
    const { servers } = lab;
    const persistent = (netmask: string): string =>
      lab
        .usualConfig()
        .replace('scheduler=rr', `scheduler=rr\n    persistent=300${netmask}`)
        .replace('quiescent=no', 'quiescent=yes');
    const file = lab.writeConfig(persistent(''));
    for (const address of ['10.1.0.3', '10.1.0.4'])
      t.match(await lab.client.run(['ip', 'address', 'add', `${address}/24`, 'dev', 'eth0']), { code: 0 });
    /** Who answers three requests of each of these. */
    const served = async (...addresses: readonly string[]): Promise<readonly (readonly string[])[]> => {
      const answers = [];
      for (const address of addresses) {
        const urls = [lab.url, lab.url, lab.url];
        const curl = ['curl', '-sS', '--max-time', '3', '-H', 'Connection: close', '--interface', address];
        answers.push((await lab.client.run([...curl, ...urls])).stdout.trim().split('\n'));
      }
      return answers;
    };
    const addresses = ['10.1.0.2', '10.1.0.3', '10.1.0.4'];
    const directord = await lab.startDirectord(file, 'start');
    await lab.untilPoolOf([...servers, lab.fallback].map(({ endpoint }) => endpoint).slice(0, 3), 10);
    const before = await served(...addresses);
    for (const answers of before) t.same(answers, Array(3).fill(answers[0]), 'a client stays');
    t.same(before.map(([name]) => name).toSorted(), ['rs1', 'rs2', 'rs3'], 'others go elsewhere');

    const first = servers.find(({ name }) => name === before[0]?.[0]);
    if (first === undefined) throw new Error('nobody answered');
    first.remove('test.html');
    await waitFor('the server to be quiescent', 10, async () => {
      const [service] = await lab.services();
      return service?.destinations.find(({ endpoint }) => endpoint === first.endpoint)?.weight === 0;
    });
    t.same(await served(...addresses), before, 'even when their server gets no new clients');
    t.match((await lab.adm('-L', '-n')).stdout, 'persistent 300');
    t.match(await directord.stop(), { code: 0 });

    first.write('test.html', 'OK\n');
    lab.writeConfig(persistent('\n    netmask=255.255.255.0').replace('quiescent=yes', 'quiescent=no'));
    await lab.startDirectord(file, 'start');
    await lab.untilPool(servers, 10);
    const together = (await served(...addresses)).flat();
    t.same(together, Array(9).fill(together[0]), 'with a netmask a whole network stays together');
    await servers.find(({ name }) => name === together[0])?.kill();
    await waitFor('it to leave the pool', 10, async () => (await lab.pool()).length === 2);
    const after = (await served(...addresses)).flat();
    t.not(after[0], together[0], 'and moves on');
    t.same(after, Array(9).fill(after[0]), 'together when its server is gone');
  },
  { engine: 'packet' },
);
