import { bigTable, bigTableRules } from '../support/big-table.ts';
import { packetScenario, tally } from './scenario.ts';

const { services, serversEach } = bigTable;

packetScenario(
  'traffic through a table of ten thousand services',
  async (t, lab) => {
    await lab.startDirectord('--no-monitor', 'start');
    const adm = async (...args: readonly string[]) => {
      t.match(await lab.adm(...args), { code: 0, stderr: '' }, args.join(' '));
    };
    const service = ['-t', `${lab.vip}:80`];
    await adm('-A', ...service, '-s', 'rr');
    for (const { address } of lab.servers) await adm('-a', ...service, '-r', `${address}:80`, '-m');
    t.same(tally(await lab.curl(3)), { rs1: 1, rs2: 1, rs3: 1 });

    const rules = bigTableRules();
    t.match(await lab.admInput(rules, '-R'), { code: 0, stderr: '' }, 'restored');
    t.same(tally(await lab.curl(6)), { rs1: 2, rs2: 2, rs3: 2 }, 'who was there before is served');
    const saved = (await lab.adm('-S', '-n')).stdout;
    t.equal(saved.split('\n').length - 1, services * (1 + serversEach) + 1 + lab.servers.length);
    const wanted = new Set(saved.split('\n'));
    t.ok(
      rules.split('\n').every((rule) => wanted.has(rule)),
      'all of it is there',
    );
    const table = (await lab.adm('--proc', 'ip_vs')).stdout.split('\n');
    t.equal(table.length - 1, 3 + services * (1 + serversEach) + 1 + lab.servers.length);

    const [first] = lab.servers;
    const server = [...service, '-r', `${first?.address ?? ''}:80`];
    await adm('-d', ...server);
    t.same(tally(await lab.curl(4)), { rs2: 2, rs3: 2 }, 'a change is in force when the command returns');
    await adm('-a', ...server, '-m');
    t.same(tally(await lab.curl(6)), { rs1: 2, rs2: 2, rs3: 2 });

    await adm('-C');
    t.equal((await lab.adm('-S', '-n')).stdout, '');
    const sets = (await lab.director.run(['nft', 'list', 'ruleset'])).stdout;
    t.notMatch(sets, /172\.16\./, 'and nothing of it is left in the packet filter');
  },
  { routing: 'nat' },
);
