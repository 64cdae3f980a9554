import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Settings } from '../../src/engines/ebpf/layout.ts';
import { ticksBetween, ticksOf } from '../../src/engines/ebpf/ticks.ts';
import { openPinned } from '../../src/platform/bpf/bpf-link.ts';
import { BpfMap } from '../../src/platform/bpf/bpf-map.ts';
import type { Lab, Program } from './lab.ts';
import { waitFor } from './lab.ts';
import { scenario, tally } from './scenario.ts';
import { makeUpgraded } from './upgraded.ts';

/** Programs and qdiscs on the director's interfaces, and what is pinned. */
async function traces(lab: Lab): Promise<string> {
  const commands =
    'for i in lo front back; do ip -d link show $i | grep -o "xdp.*"; tc qdisc show dev $i | grep -o clsact; bpftool net show dev $i | grep director; done; true';
  const { stdout } = await lab.director.run(['sh', '-c', commands]);
  return `${stdout}${readdirSync(lab.pinned)
    .filter((name) => !name.endsWith('.debug'))
    .join()}`;
}

/** The time that the programs go by, in ticks. */
function programsTime(lab: Lab): number {
  const paths = readdirSync(lab.pinned, { recursive: true, encoding: 'utf8' });
  const settings = BpfMap.openPinned(
    join(lab.pinned, paths.find((path) => path.endsWith('/settings')) ?? ''),
  );
  const now = new DataView(settings.view()).getUint32(Settings.now, true);
  settings.close();
  return now;
}

/** The kernel's numbers of the programs on the director's interfaces. */
function programs(lab: Lab): readonly number[] {
  const links = readdirSync(lab.pinned, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /links\/[a-z]+-\d+$/.test(path),
  );
  return links.map((path) => {
    const link = openPinned(join(lab.pinned, path));
    const id = link?.programId ?? 0;
    link?.close();
    return id;
  });
}

async function startUpgraded(lab: Lab, file: string): Promise<Program> {
  const upgraded = lab.director.start([makeUpgraded(lab), '-f', '--engine', 'ebpf', file, 'start']);
  await waitFor('the upgraded directord to answer', 30, async () => (await lab.adm('-L', '-n')).code === 0);
  return upgraded;
}

/** Destinations of the first service with their open connections. */
async function listing(lab: Lab): Promise<readonly string[]> {
  const [service] = await lab.services();
  return service?.destinations.map(({ endpoint, weight }) => `${endpoint} ${weight}`).sort() ?? [];
}

scenario(
  'the daemon is killed and started again: forwarding never ends',
  async (t, lab) => {
    const file = lab.writeConfig(lab.usualConfig());
    let directord = await lab.startDirectord(file, 'start');
    await lab.untilPool(lab.servers, 10);
    t.same(tally(await lab.curl(6)), { rs1: 2, rs2: 2, rs3: 2 });
    const before = await listing(lab);

    const idle = lab.helper(lab.client, 'idle-clients', lab.vip, lab.port, 30);
    await waitFor('the idle clients', 10, () => idle.lines()[0] === '{"open":30,"refused":0}');
    const steady = lab.helper(lab.client, 'steady-client', lab.url, 20);
    const load = [
      'curl',
      '-sS',
      '--limit-rate',
      '2M',
      '-m',
      '60',
      '-o',
      '/dev/null',
      '-w',
      '%{size_download}',
    ];
    for (const { write } of lab.servers.map((server) => ({
      write: () => {
        server.write('big', 'x'.repeat(12 << 20));
      },
    })))
      write();
    const download = lab.client.start([...load, `${lab.url}big`]);

    const running = programs(lab);
    t.equal(new Set(running).size, 1, 'one program on all interfaces');
    for (let round = 1; round <= 4; round += 1) {
      process.kill(directord.pid, 'SIGKILL');
      await directord.exited;
      const asked = steady.lines().length;
      t.same(
        [...new Set(await lab.curl(6))].sort(),
        ['rs1', 'rs2', 'rs3'],
        `round ${round}: without a daemon`,
      );
      if (round < 4) {
        directord = await lab.startDirectord(file, 'start');
        t.same(programs(lab), running, 'with the programs that are there');
      } else {
        directord = await startUpgraded(lab, file);
        const others = programs(lab).filter((id) => !running.includes(id));
        t.equal(others.length, running.length, 'an upgrade puts its own programs on every interface');
      }
      t.same(await listing(lab), before, 'the listing is as it was, from the first answer on');
      await waitFor('more requests', 5, () => steady.lines().length > asked + 20);
    }
    t.equal(lab.log().match(/Added (real|virtual) server/g)?.length, 4, 'later daemons changed nothing');
    t.match(lab.log(), 'Goes on with 1 services and 3 servers');

    steady.end();
    const { stdout } = await steady.exited;
    t.same(
      stdout.split('\n').filter((line) => line.startsWith('FAILED')),
      [],
      'every request was answered',
    );
    t.match(await download.exited, { code: 0, stdout: String(12 << 20) }, 'a download went on');
    idle.write('ask\n');
    await waitFor('the answers', 10, () => idle.lines()[1]);
    t.equal(idle.lines()[1], '{"answered":30,"closed":0}', 'idle connections too');

    t.match(await directord.stop(), { code: 0 });
    t.equal(await traces(lab), '', 'after a stop with cleanstop nothing is left');
  },
  { engine: 'ebpf' },
);

scenario(
  'a restart hands forwarding over, also with cleanstop',
  async (t, lab) => {
    const usual = lab.usualConfig();
    t.match(usual, 'cleanstop=yes');
    const other = `virtual=${lab.vip}:${lab.port + 1}\n    real=10.2.0.11:80 masq\n    checktype=on\n    protocol=tcp\n`;
    const file = lab.writeConfig(usual + other);
    const first = await lab.startDirectord(file, 'start');
    await lab.untilPool(lab.servers, 10);
    await waitFor('both services', 5, async () => (await lab.services()).length === 2);

    const idle = lab.helper(lab.client, 'idle-clients', lab.vip, lab.port, 30);
    await waitFor('the idle clients', 10, () => idle.lines()[0] === '{"open":30,"refused":0}');
    const steady = lab.helper(lab.client, 'steady-client', lab.url, 20);
    for (const server of lab.servers) server.write('big', 'x'.repeat(12 << 20));
    const limits = ['--limit-rate', '1M', '-m', '60', '-o', '/dev/null', '-w', '%{size_download}'];
    const download = lab.client.start(['curl', '-sS', ...limits, `${lab.url}big`]);
    const added = (): number => lab.log().match(/Added (real|virtual) server/g)?.length ?? 0;
    const addedByFirst = added();

    lab.writeConfig(usual);
    const asked = steady.lines().length;
    const second = await lab.startDirectord(file, 'restart');
    t.match(await first.exited, { code: 0 });
    await waitFor('the next daemon', 10, () => lab.log().includes('Goes on with 1 services and 3 servers'));
    t.match(lab.log(), 'terminated on signal: USR2');
    await waitFor('the listing', 5, async () => (await lab.services()).length === 1);
    t.equal(added(), addedByFirst, 'it has nothing to change; what is not in the file any more went before');
    await waitFor('more requests', 5, () => steady.lines().length > asked + 20);

    const failed = await lab.directord('-f', '--engine', 'ebpf', '--sysctl', 'no=1', file, 'restart');
    t.match(await second.exited, { code: 0 });
    t.match(failed, { code: 1, stderr: /no daemon runs: the kernel goes on forwarding.* stop' ends it/ });
    t.same([...new Set(await lab.curl(6))].sort(), ['rs1', 'rs2', 'rs3']);

    const third = await lab.startDirectord(file, 'restart');
    t.match(await download.exited, { code: 0, stdout: String(12 << 20) }, 'a download went on');
    steady.end();
    const { stdout } = await steady.exited;
    t.notMatch(stdout, /^FAILED/m, 'every request was answered');
    idle.write('ask\n');
    await waitFor('the answers', 10, () => idle.lines()[1]);
    t.equal(idle.lines()[1], '{"answered":30,"closed":0}', 'idle connections too');
    t.equal(added(), addedByFirst);

    process.kill(third.pid, 'SIGKILL');
    await third.exited;
    lab.writeConfig(usual.replace('cleanstop=yes', 'cleanstop=no'));
    t.match(await lab.directord(file, 'stop'), { code: 0 });
    t.match(await traces(lab), /directord/, 'a stop without a daemon leaves what cleanstop=no leaves');
    lab.writeConfig(usual);
    t.match(await lab.directord(file, 'stop'), { code: 0 });
    t.equal(await traces(lab), '', 'and ends what cleanstop=yes ends');
    t.match(lab.log(), /forwarded here without a daemon; ended/);

    const fourth = await lab.startDirectord(file, 'start');
    await lab.untilPool(lab.servers, 10);
    const packet = await lab.startDirectord('--engine', 'packet', file, 'restart');
    t.match(await fourth.exited, { code: 0 });
    await waitFor('the end of the table', 10, async () => (await traces(lab)) === '');
    await lab.untilPool(lab.servers, 10);
    const fifth = await lab.startDirectord(file, 'restart');
    t.match(await packet.exited, { code: 0 });
    t.match(lab.log(), 'terminated on signal: TERM');
    await lab.untilPool(lab.servers, 10);
    t.match(await fifth.stop(), { code: 0 });
    t.equal(await traces(lab), '');
  },
  { engine: 'ebpf' },
);

scenario(
  'without cleanstop a stop leaves forwarding in place, as LVS does',
  async (t, lab) => {
    const file = lab.writeConfig(lab.usualConfig().replace('cleanstop=yes', 'cleanstop=no'));
    const first = await lab.startDirectord(file, 'start');
    await lab.untilPool(lab.servers, 10);
    t.match(await first.stop(), { code: 0 });
    t.match(lab.log(), '1 services stay: the kernel goes on forwarding without a daemon');
    t.same(tally(await lab.curl(6)), { rs1: 2, rs2: 2, rs3: 2 });
    t.match(await traces(lab), /directord/);
    const before = programsTime(lab);
    await waitFor('time to go on', 5, () => ticksBetween(before, programsTime(lab)) > ticksOf(1));

    const [, dying] = lab.servers;
    await dying?.kill();
    const second = await lab.startDirectord(file, 'start');
    const others = lab.servers.filter((server) => server !== dying);
    await lab.untilPool(others, 5);
    t.same([...new Set(await lab.curl(4))].sort(), ['rs1', 'rs3'], 'the next daemon goes on from there');

    await lab.adm('-C');
    t.match(await second.stop(), { code: 0 });
    t.equal(await traces(lab), '', 'an empty table leaves nothing');

    await (await lab.startDirectord(file, 'start')).stop('SIGKILL');
    const relay = await lab.startDirectord('--engine', 'packet', file, 'start');
    await lab.untilPool(others, 10);
    t.match(lab.log(), /The ebpf engine forwarded here without a daemon; ended/);
    t.equal(await traces(lab), '', 'another engine does not forward beside it');
    t.same([...new Set(await lab.curl(4))].sort(), ['rs1', 'rs3']);
    await relay.stop();
    const { stdout } = await lab.director.run(['sysctl', '-n', 'net.ipv4.conf.lo.accept_local']);
    t.equal(stdout, '0\n', 'what was changed for it is as it was');
  },
  { engine: 'ebpf' },
);
