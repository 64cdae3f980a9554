import { setTimeout as pause } from 'node:timers/promises';
import { scenario, tally } from './scenario.ts';
import { childrenOf } from './lab/processes.ts';
import { which } from './lab/paths.ts';
import { waitFor } from './lab.ts';

scenario('a server that dies under load costs the connections that were open to it', async (t, lab) => {
  if (which('wrk') === undefined) throw new Error('wrk is missing: make deps');
  const { servers } = lab;
  const [, dying] = servers;
  await lab.startDirectord(lab.writeConfig(lab.usualConfig()), 'start');
  await lab.untilPool(servers, 10);
  const connections = 30;
  const load = lab.client.start(['wrk', '-t1', `-c${connections}`, '-d6s', lab.url]);
  await pause(2000);
  await dying?.kill();
  await pause(2000);
  t.same(
    await lab.pool().then((pool) => pool.toSorted()),
    ['10.2.0.11:80', '10.2.0.13:80'],
    'it left the pool',
  );
  const answers = await lab.curl(20);
  t.same(tally(answers), { rs1: 10, rs3: 10 }, 'two seconds after its death only the others serve');
  const { code, stdout, stderr } = await load.exited;
  t.equal(code, 0, `wrk ran ${stderr}`);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout);
  const [connect = 0, read = 0, write = 0, timeout = 0] = (errors?.slice(1) ?? []).map(Number);
  t.equal(connect + timeout, 0, 'no client was refused or left waiting');
  t.ok(read + write <= connections, `${read + write} errors on ${connections} connections`);
  t.ok(Number(/(\d+) requests in/.exec(stdout)?.[1]) > 1000, 'the load was a load');
  t.notMatch(stdout, /Non-2xx/, 'and every answer a good one');
});

scenario('a forwarder that is killed is back within two seconds, with the table', async (t, lab) => {
  const directord = await lab.startDirectord(lab.writeConfig(lab.usualConfig()), 'start');
  await lab.untilPool(lab.servers, 10);
  const table = (await lab.adm('-S', '-n')).stdout;
  t.equal((await lab.curl(3)).length, 3, 'it serves');
  for (let round = 1; round <= 2; round += 1) {
    const [forwarder, ...others] = childrenOf(directord.pid);
    if (forwarder === undefined) return void t.fail('the daemon has a child that forwards');
    t.same(others, [], 'one child');
    process.kill(forwarder, 'SIGKILL');
    const killed = performance.now();
    await waitFor('service', 5, async () => tally(await lab.curl(3))['rs1'] === 1);
    const seconds = (performance.now() - killed) / 1000;
    t.ok(seconds < 2, `round ${round}: serves again after ${seconds.toFixed(2)} s`);
    t.not(childrenOf(directord.pid)[0], forwarder, 'with a new process');
    t.equal((await lab.adm('-S', '-n')).stdout, table, 'the same table');
  }
  t.equal(directord.finished, undefined, 'the daemon lived through it');
});
