import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Lab } from './lab.ts';
import { waitFor } from './lab.ts';
import { scenario, tally } from './scenario.ts';

/** A service of its own port, real server and log. */
function childConfig(lab: Lab, port: number, real: string): string {
  return `checkinterval=1
logfile="${lab.logfile}.${port}"
virtual=${lab.vip}:${port}
    real=${real} masq
    scheduler=rr
    protocol=tcp
    checktype=connect
`;
}

for (const engine of ['relay', 'packet', 'ebpf'] as const)
  scenario(`execute= starts, reloads and stops further configurations, ${engine} engine`, execute, {
    engine,
  });

/** Each has a table of its own. */
async function execute(t: Test, lab: Lab): Promise<void> {
  const [rs1, rs2, rs3] = lab.servers;
  if (rs1 === undefined || rs2 === undefined || rs3 === undefined) throw new Error('no servers');
  const second = lab.writeConfig(childConfig(lab, 81, rs2.endpoint), 'second.cf');
  const third = lab.writeConfig(childConfig(lab, 82, rs3.endpoint), 'third.cf');
  const parent = (...children: readonly string[]): string =>
    lab.writeConfig(
      `${children.map((child) => `execute=${child}\n`).join('')}${lab.usualConfig([`real=${rs1.endpoint} masq`])}`,
    );
  const config = parent(second);
  const at = (port: number): Promise<readonly string[]> => lab.curl(3, `http://${lab.vip}:${port}/`);
  const served = (port: number, by: string): Promise<unknown> =>
    waitFor(`${by} at port ${port}`, 15, async () => tally(await at(port))[by] === 3);
  const refused = (port: number): Promise<unknown> =>
    waitFor(`nobody at port ${port}`, 15, async () =>
      (await at(port)).every((line) => line.startsWith('curl:')),
    );
  const own = (name: string, ...words: readonly string[]): ReturnType<Lab['adm']> =>
    lab.adm('--control', join(lab.directory, 'execute', name, 'control.sock'), ...words);

  t.match(await lab.directord('--engine', lab.engine, config, 'start'), { code: 0 });
  await served(80, 'rs1');
  await served(81, 'rs2');
  t.match((await lab.adm('-L', '-n')).stdout, '10.1.0.100:80');
  t.notMatch((await lab.adm('-L', '-n')).stdout, ':81');
  t.match((await own('second.cf', '-L', '-n')).stdout, '10.1.0.100:81');
  const status = await lab.directord(config, 'status');
  t.equal(status.code, 0);
  t.match(status.stderr, /directord for \S+lab\.cf is running with pid: \d+\n/);
  t.match(status.stderr, /directord for \S+second\.cf is running with pid: \d+\n/);

  parent(second, third);
  // packet engines side by side must not have a NAT server in common
  const next = lab.engine === 'packet' ? lab.fallback : rs3;
  writeFileSync(second, childConfig(lab, 81, next.endpoint));
  t.match(await lab.directord(config, 'reload'), { code: 0 });
  await served(82, 'rs3');
  await served(81, next.name);
  await served(80, 'rs1');

  parent(third);
  t.match(await lab.directord(third, 'stop'), { code: 0 }, 'somebody stops a child by itself');
  await refused(82);
  t.match(await lab.directord(config, 'reload'), { code: 0 });
  await refused(81);
  await waitFor(
    'the child that is removed to end',
    5,
    () => !existsSync(join(lab.directory, 'run/ldirectord.second.cf.pid')),
  );
  await served(82, 'rs3');
  t.match(
    lab.log(),
    /system\(.* \S+third\.cf reload\) failed: exit status 1: directord is stopped for/,
    'one that could not reload is started',
  );

  t.match(await lab.directord(config, 'stop'), { code: 0 });
  await waitFor('all to end', 15, async () => (await lab.directord(config, 'status')).code === 3);
  t.notOk(existsSync(join(lab.directory, 'run/ldirectord.third.cf.pid')), 'children end before their parent');
  for (const port of [80, 81, 82]) await refused(port);
}
