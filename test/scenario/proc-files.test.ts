/** What a collector that reads /proc/net/ip_vs finds below the directory of the control socket, of a real directord. */
import { existsSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { mountsBelow } from '../support/mounts.ts';
import type { Finished, Program } from './lab.ts';
import { Lab, skipReason, waitFor } from './lab.ts';
import { directord, which } from './lab/paths.ts';
import { childrenOf, familyOf, signalIfAlive } from './lab/processes.ts';
import { tally } from './scenario.ts';

const fuse = existsSync('/dev/fuse') ? skipReason : 'needs /dev/fuse';

/** On loopback: here a mount is seen by everybody, as on a host, and outlives a directord that is killed. */
function onThisHost(
  name: string,
  body: (t: Test, lab: Lab) => Promise<void>,
  skip: string | false = fuse,
): void {
  void t.test(name, { skip, timeout: 60_000 }, async (t) => {
    const lab = await Lab.open('loopback');
    try {
      await body(t, lab);
    } finally {
      if (!t.passing()) t.comment(`log of the director:\n${lab.log()}`);
      await lab.close();
    }
    t.notOk(existsSync(lab.directory), 'nothing is left');
  });
}

/** With its forwarder, which would end by itself, but later. */
async function killAll(directord: Program): Promise<void> {
  for (const pid of familyOf(directord.pid)) signalIfAlive(pid, 'SIGKILL');
  await directord.exited;
}

/** Reads as other programs do. */
function cat(lab: Lab, ...names: readonly string[]): Promise<Finished> {
  return lab.director.run(['cat', ...names.map((name) => join(lab.directory, name))]);
}

/** Starts directord, and waits for the files: they come when it forwards, a little later than the control socket. */
async function alone(lab: Lab): Promise<Program> {
  const directord = await lab.startDirectord('--no-monitor', 'start');
  await waitFor('the files', 10, async () => (await cat(lab, 'ip_vs', 'ip_vs_conn')).code === 0);
  return directord;
}

const names = ['ip_vs', 'ip_vs_conn', 'ip_vs_stats'];

const head = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`;

onThisHost('the files come with directord and go with it', async (t, lab) => {
  const first = await alone(lab);
  t.match(await cat(lab, 'ip_vs'), { code: 0, stdout: head, stderr: '' });
  await lab.adm('-A', '-t', '127.0.0.100:8099', '-s', 'wrr');
  await lab.adm('-a', '-t', '127.0.0.100:8099', '-r', '127.0.0.11:8080', '-m', '-w', '3');
  const table = `${head}TCP  7F000064:1FA3 wrr  \n  -> 7F00000B:1F90      Masq    3      0          0         \n`;
  for (const name of ['ip_vs', 'proc/net/ip_vs']) t.equal((await cat(lab, name)).stdout, table, name);
  for (const name of names) {
    const { stdout } = await lab.adm('--proc', name);
    t.equal((await cat(lab, name)).stdout, stdout, `${name} is what directoradm --proc prints`);
  }
  const forwarder = await waitFor('the forwarder', 5, () => childrenOf(first.pid)[0]);
  const open = readdirSync(`/proc/${forwarder}/fd`).map((fd) => linkOf(`/proc/${forwarder}/fd/${fd}`));
  t.ok(open.length > 0);
  t.notOk(open.includes('/dev/fuse'), 'the forwarder would keep the mount alive');

  const others = mkdirSync(join(lab.directory, 'others'), { recursive: true }) ?? '';
  const options = ['--control', join(lab.directory, 'second.sock'), '--no-monitor', 'start'];
  const second = lab.director.start([
    'env',
    `DIRECTORD_RUN_DIR=${others}`,
    directord,
    '-d',
    '--engine',
    'relay',
    ...options,
  ]);
  await waitFor(
    'the second directord',
    10,
    () => /No files like .*\n/.test(second.stderr),
    () => second.stdout + second.stderr,
  );
  t.match(
    second.stderr,
    /\/proc is in use: it belongs to another directord that runs; see directoradm --proc\n/,
  );
  await second.stop();
  t.equal(
    (await cat(lab, 'ip_vs')).stdout,
    table,
    'another directord in the same directory leaves them alone',
  );

  t.equal((await first.stop()).code, 0);
  t.same(mountsBelow(lab.directory), []);
  t.same(
    readdirSync(lab.directory).filter((name) => [...names, 'proc', 'control.sock'].includes(name)),
    [],
  );
});

onThisHost('killed, they are dead, and alive again with the next directord', async (t, lab) => {
  writeFileSync(join(lab.directory, 'ip_vs_stats'), 'mine');
  const first = await alone(lab);
  await killAll(first);
  t.match(await cat(lab, 'ip_vs'), { code: 1, stderr: /Transport endpoint is not connected/ });
  const second = await alone(lab);
  t.match(await cat(lab, 'ip_vs', 'proc/net/ip_vs'), { code: 0, stdout: head + head });
  t.equal(mountsBelow(lab.directory).length, 1);
  t.equal((await cat(lab, 'ip_vs_stats')).stdout, 'mine', 'what is not ours stays');
  await second.stop();
  t.match(await cat(lab, 'ip_vs_stats'), { stdout: 'mine' });
  const third = await alone(lab);
  // and nobody cleans up but the lab
  await killAll(third);
});

onThisHost('a long table, to readers at the same time', async (t, lab) => {
  await alone(lab);
  const services = Array.from({ length: 100 }, (_, index) => `127.0.1.${index + 1}:8099`);
  const reals = Array.from({ length: 50 }, (_, index) => `127.0.2.${index + 1}:8080`);
  const rules = services.flatMap((service) => [
    `-A -t ${service} -s rr`,
    ...reals.map((real) => `-a -t ${service} -r ${real} -m -w 1`),
  ]);
  t.match(await lab.admInput(`${rules.join('\n')}\n`, '-R'), { code: 0 });
  const { stdout: whole } = await lab.adm('--proc', 'ip_vs');
  t.equal(whole.split('\n').length, 3 + rules.length + 1);
  const began = performance.now();
  const texts = await Promise.all([1, 2, 3].map(() => cat(lab, 'ip_vs')));
  t.comment(`${whole.length} bytes three times in ${(performance.now() - began).toFixed(0)} ms`);
  for (const { stdout } of texts) t.ok(stdout === whole, 'the same, and all of it');
  const first = await lab.director.run(['head', '-n', '1', join(lab.directory, 'ip_vs')]);
  t.match(first, { code: 0, stdout: /^IP Virtual Server version 1.2.1 .*\n$/, stderr: '' });
});

onThisHost(
  'prometheus-node-exporter reads them',
  async (t, lab) => {
    const { port, url } = lab;
    const service = `${lab.vip}:${port}`;
    await alone(lab);
    await lab.adm('-A', '-t', service, '-s', 'rr');
    const [server] = lab.servers;
    await lab.adm('-a', '-t', service, '-r', server?.endpoint ?? '', '-m', '-w', '7');
    await lab.untilInForce();
    t.same(tally(await lab.curl(5, url)), { rs1: 5 });

    const listen = `127.0.0.100:${port + 1}`;
    lab.director.start([
      'prometheus-node-exporter',
      '--collector.disable-defaults',
      '--collector.ipvs',
      `--path.procfs=${lab.directory}/proc`,
      `--web.listen-address=${listen}`,
    ]);
    const labels = `local_address="${lab.vip}",local_mark="",local_port="${port}",proto="TCP",remote_address="127.0.0.11",remote_port="8080"`;
    const metrics = await waitFor('the metrics', 10, async () => {
      const { stdout } = await lab.director.run(['curl', '-s', `http://${listen}/metrics`]);
      return /^node_ipvs_connections_total 5$/m.test(stdout) ? stdout : undefined;
    });
    t.match(metrics, `\nnode_ipvs_backend_weight{${labels}} 7\n`);
    t.match(metrics, `\nnode_ipvs_backend_connections_inactive{${labels}} 5\n`);
    t.match(metrics, '\nnode_scrape_collector_success{collector="ipvs"} 1\n');
  },
  fuse === false && which('prometheus-node-exporter') === undefined
    ? 'needs prometheus-node-exporter (make deps)'
    : fuse,
);

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // closed meanwhile
    return '';
  }
}
