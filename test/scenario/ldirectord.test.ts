/**
 * An operator keeps Debian's ldirectord and gives it our program as its ipvsadm, by a symbolic link: the whole way, from a health check of
 * real nginx to the packets of a client.
 */
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { drivenByLdirectord } from './ldirectord.ts';
import type { Lab } from './lab.ts';
import { waitFor } from './lab.ts';
import { tally } from './scenario.ts';

t.setTimeout(300_000);

interface Choice {
  readonly weight?: number;
  readonly quiescent?: 'yes' | 'no';
}

function configuration(lab: Lab, { weight = 1, quiescent = 'no' }: Choice = {}): string {
  const [rs1, rs2] = lab.servers;
  return `checktimeout=1
negotiatetimeout=1
checkinterval=1
autoreload=no
logfile="/run/ld.log"
quiescent=${quiescent}
cleanstop=yes

virtual=${lab.vip}:${lab.port}
    real=${rs1?.endpoint} masq ${weight}
    real=${rs2?.endpoint} masq
    fallback=${lab.fallback.endpoint} masq
    protocol=tcp
    scheduler=wrr
    service=http
    request="test.html"
    receive="OK"
`;
}

drivenByLdirectord(
  'ldirectord drives us',
  { engine: 'packet', ipvsadm: 'symlink' },
  async (t, lab, ldirectord) => {
    const [rs1, rs2] = lab.servers;
    if (rs1 === undefined || rs2 === undefined) throw new Error('no servers');
    const act = async (action: string) => {
      const { code, stdout, stderr } = await ldirectord.run('/run/ld.cf', action);
      t.same({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' }, `ldirectord ${action}`);
    };
    /** Servers of the table with their weights. */
    const untilTable = (...rows: readonly string[]) =>
      waitFor(
        `the table to be ${rows.join(', ')}`,
        40,
        async () => {
          const [service] = await lab.services();
          const listed = service?.destinations.map(({ endpoint, weight }) => `${endpoint} ${weight}`) ?? [];
          return listed.toSorted().join() === rows.join();
        },
        () => ldirectord.log(),
      );
    const serves = async (requests: number, expected: Readonly<Record<string, number>>, why: string) => {
      await lab.untilInForce();
      t.same(tally(await lab.curl(requests)), expected, why);
    };

    ldirectord.write('ld.cf', configuration(lab));
    await act('start');
    await untilTable('10.2.0.11:80 1', '10.2.0.12:80 1');
    await serves(6, { rs1: 3, rs2: 3 }, 'both servers serve');

    const load = lab.client.start(['wrk', '-t1', '-c10', '-d8s', lab.url]);
    await rs1.kill();
    await untilTable('10.2.0.12:80 1');
    await serves(6, { rs2: 6 }, 'a server that was killed gets no more requests');
    await rs1.start();
    await untilTable('10.2.0.11:80 1', '10.2.0.12:80 1');
    await serves(6, { rs1: 3, rs2: 3 }, 'one that is back serves again');
    const { stdout } = await load.exited;
    t.ok(Number(/(\d+) requests in/.exec(stdout)?.[1]) > 500, `under load: ${stdout}`);

    await Promise.all([rs1.kill(), rs2.kill()]);
    await untilTable('10.2.0.20:80 1');
    await serves(2, { fallback: 2 }, 'with none left the fallback serves');
    await Promise.all([rs1.start(), rs2.start()]);
    await untilTable('10.2.0.11:80 1', '10.2.0.12:80 1');

    ldirectord.write('ld.cf', configuration(lab, { weight: 3, quiescent: 'yes' }));
    await act('reload');
    await untilTable('10.2.0.11:80 3', '10.2.0.12:80 1');
    await serves(8, { rs1: 6, rs2: 2 }, 'a changed weight is served by');
    await rs2.kill();
    await untilTable('10.2.0.11:80 3', '10.2.0.12:80 0');
    await serves(4, { rs1: 4 }, 'a quiescent server stays in the table and gets no requests');

    const mounts = readFileSync('/proc/self/mounts', 'utf8');
    t.notOk(
      mounts.includes(lab.directory) || /\/usr\/sbin |\/etc\/ha\.d /.test(mounts),
      'what it sees as its files is mounted for it alone',
    );
    t.notOk(existsSync('/run/ldirectord.ld.cf.pid'), 'and its pid file is not in our /run');
    await act('stop');
    await ldirectord.untilItEnded();
    t.same(await lab.services(), [], 'stopped, it leaves nothing');
    t.equal((await ldirectord.run('/run/ld.cf', 'status')).code, 3, 'and is not there');
    t.match(await lab.curl(1), [/Couldn't connect|refused/], 'nor is the service');
  },
);
