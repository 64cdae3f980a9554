import type { Lab, Program } from './lab.ts';
import { waitFor } from './lab.ts';
import type { scenario } from './scenario.ts';
import { packetScenario } from './scenario.ts';

/** What echo-clients says of its sessions. */
interface Sessions {
  readonly answered: Readonly<Record<string, number>>;
  readonly waiting: number;
  readonly closed: number;
}

const port = 7000;

/** Says a line to echo-clients. @returns what it answers */
async function say(clients: Program, line?: string): Promise<Sessions> {
  const before = clients.lines().length;
  if (line !== undefined) clients.write(`${line}\n`);
  const report = await waitFor(
    `an answer to '${line ?? ''}'`,
    15,
    () => clients.lines()[line === undefined ? 0 : before],
    () => clients.stderr,
  );
  return JSON.parse(report) as Sessions;
}

for (const family of ['inet', 'inet6'] as const) {
  const body: Parameters<typeof scenario>[1] = async (t, lab) => {
    const named = ({ address, address6 }: { address: string; address6: string | undefined }): string =>
      family === 'inet' ? `${address}:${port}` : `[${address6 ?? ''}]:${port}`;
    const sites = [...lab.servers, lab.fallback];
    const [one, two, three, four] = sites.map(named);
    const vip = family === 'inet' ? lab.vip : lab.vip6;
    const service = ['-t', named({ address: vip, address6: vip })];
    const echoes = sites.map(({ host, name }) => lab.helper(host, 'echo-server', port, name));
    await waitFor('the echo servers', 10, () => echoes.every((echo) => echo.lines()[0] === 'ready'));
    const adm = async (...args: readonly string[]): Promise<void> => {
      t.match(await lab.adm(...args), { code: 0, stderr: '' }, `directoradm ${args[0] ?? ''}`);
    };

    const untilPool = (wanted: readonly (string | undefined)[]) =>
      waitFor(`the pool to be ${wanted.join(' ')}`, 10, async () => {
        const pool = await lab.pool(`TCP ${service[1] ?? ''}`);
        return pool.toSorted().join() === wanted.join();
      });

    const file = lab.writeConfig(config(lab, service[1] ?? '', [one, two, three]));
    const directord = await lab.startDirectord(file, 'start');
    await untilPool([one, two, three]);
    const clients = lab.helper(lab.client, 'echo-clients', vip, port, 30);
    const all = { answered: { rs1: 10, rs2: 10, rs3: 10 }, waiting: 0, closed: 0 };
    t.same(await say(clients), all, 'thirty sessions');

    await adm('-e', ...service, '-r', one ?? '', '-m', '-w', '7');
    t.same(await say(clients, 'ask 2'), all, 'they live on when a weight changes,');
    await adm('-a', ...service, '-r', four ?? '', '-m');
    t.same(await say(clients, 'ask 2'), all, 'a server comes,');
    await adm('-d', ...service, '-r', four ?? '');
    t.same(await say(clients, 'ask 2'), all, 'and goes,');
    await adm('-E', ...service, '-s', 'wlc');
    t.same(await say(clients, 'ask 2'), all, 'the scheduler changes,');
    await adm('-E', ...service, '-s', 'rr');

    lab.writeConfig(`${config(lab, service[1] ?? '', [one, two, three])}${otherService(lab)}`);
    t.match(await lab.directord(file, 'reload'), { code: 0 });
    await waitFor('the new service', 10, async () => (await lab.services()).length === 2);
    t.same(await say(clients, 'ask 2'), all, 'the configuration is read again,');

    await adm('-e', ...service, '-r', one ?? '', '-m', '-w', '0');
    t.same(await say(clients, 'ask 2'), all, 'their server gets no new ones,');
    const newcomers = lab.helper(lab.client, 'echo-clients', vip, port, 4);
    t.same((await say(newcomers)).answered, { rs2: 2, rs3: 2 }, '(indeed it does not)');
    newcomers.end();

    await echoes[2]?.stop('SIGKILL');
    await waitFor('its sessions to end', 5, async () => (await say(clients, 'await 0')).closed === 10);
    const left = { answered: { rs1: 10, rs2: 10 }, waiting: 0, closed: 10 };
    t.same(await say(clients, 'ask 2'), left, 'or another server dies');
    await untilPool([one, two]);
    t.same(await say(clients, 'ask 2'), left, 'and leaves the pool');

    await adm('-d', ...service, '-r', one ?? '');
    t.same(
      await say(clients, 'ask 0.5'),
      { answered: { rs2: 10 }, waiting: 10, closed: 10 },
      'without their server they wait,',
    );
    await adm('-a', ...service, '-r', one ?? '', '-m');
    t.same(await say(clients, 'await 10'), left, 'and go on when it is back');
    t.same(await say(clients, 'ask 2'), left);
    t.equal(directord.finished, undefined);
  };
  const name = family === 'inet' ? 'IPv4' : 'IPv6';
  packetScenario(`${name} sessions outlive changes`, body);
}

function config(lab: Lab, virtual: string, reals: readonly (string | undefined)[]): string {
  return `checktimeout=1
checkinterval=1
autoreload=no
logfile="${lab.logfile}"
quiescent=no

virtual${virtual.startsWith('[') ? '6' : ''}=${virtual}
${reals.map((real) => `    real${virtual.startsWith('[') ? '6' : ''}=${real ?? ''} masq\n`).join('')}    protocol=tcp
    scheduler=rr
    checktype=connect
`;
}

function otherService(lab: Lab): string {
  return `
virtual=${lab.vip}:80
    real=${lab.fallback.endpoint} masq
    protocol=tcp
    checktype=connect
`;
}
