/** Pacemaker's own agent for ldirectord, unchanged, with directord in its place: under its own name and linked as `ldirectord`. */
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { waitFor } from '../support/until.ts';
import { Place } from './checks/place.ts';
import { directord } from './lab/paths.ts';

const root = '/usr/lib/ocf';
const agent = join(root, 'resource.d/heartbeat/ldirectord');
const skip = existsSync(agent) ? false : 'resource-agents is not installed';

// codes of the resource agent API
const OCF_SUCCESS = 0;
const OCF_ERR_INSTALLED = 5;
const OCF_NOT_RUNNING = 7;

// The agent names no engine, and that of root would be on the host's interfaces: anybody else has the relay.
const asNobody =
  process.getuid?.() === 0 ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] : [];

for (const name of ['directord', 'ldirectord']) {
  void t.test(`as ${name}`, { skip, timeout: 120_000 }, async (t) => {
    const place = new Place();
    t.teardown(() => place.close());
    const { directory } = place;
    const program = name === 'directord' ? directord : join(directory, name);
    if (program !== directord) symlinkSync(directord, program);
    const port = await place.freePort();
    const config = place.write(
      'ld.cf',
      `logfile="${directory}/log"\nvirtual=127.0.0.1:${port}\n\tfallback=127.0.0.1:9 masq\n\tprotocol=tcp\n`,
    );
    const variables = {
      OCF_ROOT: root,
      OCF_RESOURCE_INSTANCE: 'balancer',
      OCF_RESOURCE_TYPE: 'ldirectord',
      OCF_RESKEY_ldirectord: program,
      OCF_RESKEY_configfile: config,
      HA_RSCTMP: join(directory, 'tmp'),
      HA_logfile: join(directory, 'ha.log'),
      HA_debuglog: join(directory, 'ha.debug'),
      DIRECTORD_RUN_DIR: directory,
      DIRECTORD_CONTROL: join(directory, 'run/control'),
    };
    mkdirSync(variables.HA_RSCTMP);
    for (const folder of [directory, variables.HA_RSCTMP]) chmodSync(folder, 0o777);
    const ask = async (action: string, changes: Partial<typeof variables> = {}) => {
      const env = Object.entries({ ...variables, ...changes }).map(([key, value]) => `${key}=${value}`);
      return place.run([...asNobody, 'env', ...env, agent, action]);
    };
    const code = async (action: string): Promise<number | null> => (await ask(action)).code;
    const pidFile = join(directory, 'ldirectord.ld.cf.pid');
    const pid = (): number => Number(readFileSync(pidFile, 'utf8'));
    t.teardown(() => {
      // After a failure; the number in a stale file may be somebody else's by now.
      const left = existsSync(pidFile) ? `/proc/${pid()}/cmdline` : '';
      if (existsSync(left) && readFileSync(left, 'utf8').includes(config)) process.kill(pid(), 'SIGKILL');
    });

    t.equal(await code('validate-all'), OCF_SUCCESS);
    t.match((await ask('validate-all', { OCF_RESKEY_configfile: `${config}.no` })).code, OCF_ERR_INSTALLED);
    t.equal(await code('monitor'), OCF_NOT_RUNNING, 'before the start');
    const started = await ask('start');
    t.equal(started.code, OCF_SUCCESS, `start ${started.stdout}${started.stderr}`);
    t.equal(await code('monitor'), OCF_SUCCESS);
    const first = pid();
    t.equal(await code('start'), OCF_SUCCESS, 'a second start');
    t.equal(pid(), first, 'starts no second daemon');
    const commandLine = readFileSync(`/proc/${first}/cmdline`, 'utf8').replaceAll('\0', ' ');
    t.match(commandLine, `${program} ${config} start`, 'what the agent looks for when it has to kill');

    t.equal(await code('stop'), OCF_SUCCESS);
    await waitFor('the end', 10, () => !existsSync(`/proc/${first}`));
    t.equal(await code('monitor'), OCF_NOT_RUNNING, 'after the stop');
    t.equal(await code('stop'), OCF_SUCCESS, 'a second stop');

    writeFileSync(pidFile, `${first}\n`);
    chmodSync(pidFile, 0o666);
    t.equal(await code('monitor'), OCF_NOT_RUNNING, 'a daemon that was killed does not run');
    t.equal(await code('start'), OCF_SUCCESS, 'and is started again');

    place.write('ld.cf', 'checktimeout=never\n');
    t.equal((await place.run(['pgrep', '-f', `${program} ${config} start`])).stdout.trim(), String(pid()));
    const second = pid();
    t.equal(
      await code('stop'),
      OCF_SUCCESS,
      'with a broken file the agent finds the process by its command line',
    );
    await waitFor('the end', 10, () => !existsSync(`/proc/${second}`));
  });
}
