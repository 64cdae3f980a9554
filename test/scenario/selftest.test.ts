/**
 * The idea of the kernel's own IPVS selftest, for each engine and forwarding method: a bare director, the commands that an LVS admin
 * types, and a file that goes through the virtual address and comes out the same. The director's shell knows our program as `ipvsadm`.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Lab, LabOptions, Program } from './lab.ts';
import { waitFor } from './lab.ts';
import { directoradm } from './lab/paths.ts';
import { scenario } from './scenario.ts';

type Protocol = 'tcp' | 'udp';

interface Family {
  readonly name: 'IPv4' | 'IPv6';
  readonly vip: string;
  readonly rip: string;
  /** For a service with a firewall mark. */
  readonly word: '' | '-6';
  readonly iptables: 'iptables' | 'ip6tables';
}

interface File {
  readonly path: string;
  /** As programs/exchange prints it. */
  readonly line: string;
}

const port = 8080;
const options = { masq: '-m', gate: '-g', ipip: '-i' } as const;

/** A director that nobody else runs, and our program as the first `ipvsadm` of its shell. */
async function open(lab: Lab): Promise<void> {
  mkdirSync(join(lab.directory, 'sbin'));
  symlinkSync(directoradm, join(lab.directory, 'sbin/ipvsadm'));
  await lab.startDirectord('--no-monitor', 'start');
}

/** What an admin types on the director, none of which fails or complains. @returns what it prints */
async function admin(t: Test, lab: Lab, ...lines: readonly string[]): Promise<string> {
  const script = `PATH=${lab.directory}/sbin:$PATH; set -e; ${lines.join('; ')}`;
  const { code, stdout, stderr } = await lab.director.run(['sh', '-c', script]);
  t.same({ code, stderr }, { code: 0, stderr: '' }, lines.join('; '));
  return stdout;
}

function families(lab: Lab): readonly Family[] {
  const { address = '', address6 = '' } = lab.servers[0] ?? {};
  return [
    { name: 'IPv4', vip: lab.vip, rip: address, word: '', iptables: 'iptables' },
    { name: 'IPv6', vip: lab.vip6, rip: address6, word: '-6', iptables: 'ip6tables' },
  ];
}

function named(address: string, onPort = port): string {
  return address.includes(':') ? `[${address}]:${onPort}` : `${address}:${onPort}`;
}

function randomFile(lab: Lab, name: string, bytes: number): File {
  const path = join(lab.directory, name);
  writeFileSync(path, randomBytes(bytes));
  const sum = createHash('sha256').update(readFileSync(path)).digest('hex');
  return { path, line: `got ${bytes} ${sum}` };
}

/** The first server. Where replies go past the director it speaks from the virtual address, as one does that has it. */
async function serve(lab: Lab, protocol: Protocol, { vip, rip }: Family, file: File): Promise<Program> {
  const [server] = lab.servers;
  if (server === undefined) throw new Error('the lab has no server');
  const address = lab.forwarding === 'masq' ? rip : vip;
  const program = lab.helper(server.host, 'exchange', 'serve', protocol, address, port, file.path);
  await waitFor('the server', 10, () => {
    if (program.finished !== undefined) throw new Error(program.finished.stderr);
    return program.lines()[0] === 'ready';
  });
  return program;
}

interface Row {
  readonly family: Family;
  readonly protocol: Protocol;
  readonly server: Program;
}

/** The client sends a file through the virtual address; it and the server get each other's. */
async function exchange(t: Test, lab: Lab, row: Row, mine: File, its: File): Promise<void> {
  const { family, protocol, server } = row;
  const before = server.lines().length;
  const sent = await lab.helper(lab.client, 'exchange', 'send', protocol, family.vip, port, mine.path).exited;
  const what = `${family.name} ${protocol}: ${mine.line}`;
  t.match(sent, { code: 0, stdout: `${its.line}\n`, stderr: '' }, what);
  t.same(server.lines().slice(before), [mine.line], 'at the server too');
}

const settings: readonly Required<Pick<LabOptions, 'engine' | 'routing'>>[] = [
  { engine: 'relay', routing: 'nat' },
  { engine: 'packet', routing: 'nat' },
  { engine: 'packet', routing: 'direct' },
  { engine: 'packet', routing: 'tunnel' },
  { engine: 'ebpf', routing: 'nat' },
  { engine: 'ebpf', routing: 'tunnel' },
];

for (const setting of settings) {
  const body: Parameters<typeof scenario>[1] = async (t, lab) => {
    await open(lab);
    const option = options[lab.forwarding];
    const small = randomFile(lab, 'small', 5000);
    const large = randomFile(lab, 'large', 2 ** 20);
    const answer = randomFile(lab, 'answer', 2 ** 20 + 7);
    const rows: Row[] = [];
    for (const family of families(lab)) {
      for (const protocol of ['tcp', 'udp'] as const)
        rows.push({ family, protocol, server: await serve(lab, protocol, family, answer) });
    }
    const typed = rows.flatMap(({ protocol, family: { vip, rip } }) => {
      const service = `-${protocol.charAt(0)} ${named(vip)}`;
      return [`ipvsadm -A ${service} -s rr`, `ipvsadm -a ${service} -r ${named(rip)} ${option}`];
    });
    await admin(t, lab, ...typed);
    for (const row of rows) await exchange(t, lab, row, small, answer);

    const rules = await admin(t, lab, 'ipvsadm -S -n');
    t.equal(rules.split('\n').length, typed.length + 1, 'all of it is saved');
    await admin(t, lab, 'rules=$(ipvsadm -S -n)', 'ipvsadm -C', 'echo "$rules" | ipvsadm -R');
    t.equal(await admin(t, lab, 'ipvsadm -S -n'), rules, 'and restored');
    for (const row of rows) await exchange(t, lab, row, large, answer);

    if (setting.engine === 'relay') return;
    await admin(
      t,
      lab,
      'ipvsadm -C',
      ...rows.map(
        ({ protocol, family: { vip, iptables } }) =>
          `${iptables} -t mangle -A PREROUTING -d ${vip} -p ${protocol} --dport ${port} -j MARK --set-mark 1`,
      ),
      ...families(lab).flatMap(({ word, rip }) => [
        `ipvsadm -A -f 1 ${word} -s rr`,
        `ipvsadm -a -f 1 ${word} -r ${named(rip, 0)} ${option}`,
      ]),
    );
    t.match(
      await admin(t, lab, 'ipvsadm -L -n'),
      /^FWM {2}1 rr\n.*\nFWM {2}1 IPv6 rr\n/m,
      'by firewall mark',
    );
    for (const row of rows) await exchange(t, lab, row, small, answer);
  };
  const method = { nat: 'NAT', direct: 'direct routing', tunnel: 'tunnels' }[setting.routing];
  scenario(`${setting.engine}, ${method}: a file goes through the virtual address`, body, setting);
}

for (const engine of ['relay', 'packet', 'ebpf'] as const) {
  const body: Parameters<typeof scenario>[1] = async (t, lab) => {
    await open(lab);
    const service = `-t ${lab.vip}:80`;
    const ipvsadm = (...commands: readonly string[]) =>
      admin(t, lab, ...commands.map((words) => `ipvsadm ${words}`));
    const destination = (number: number) => `${service} -r 10.2.0.${number}:80`;
    await ipvsadm(`-A ${service} -s rr -p 60`, `-a ${destination(11)} -m`, `-a ${destination(12)} -m`);
    t.same(await lab.curl(4), ['rs2', 'rs2', 'rs2', 'rs2'], 'a client of a persistent service stays');
    t.match(await ipvsadm('-L -n --persistent-conn'), /^ {2}-> 10\.2\.0\.12:80 +1 +1 /m, 'with one template');
    await waitFor('its connections to be counted', 5, async () =>
      / 10\.2\.0\.12:80 +4 /.test(await ipvsadm('-L -n --stats')),
    );
    await ipvsadm('-Z');
    t.match(await ipvsadm('-L -n --stats'), / 10\.2\.0\.12:80 +0 +0 +0 +0 +0\n/, '-Z makes it zero');

    await ipvsadm(`-d ${destination(12)}`);
    t.same(await lab.curl(2), ['rs1', 'rs1'], 'a deleted server serves no more');
    await ipvsadm(`-d ${destination(11)}`);
    t.match((await lab.curl(1))[0], /refused|Couldn't connect/, 'and without any, clients are refused');

    const inTheLog = async (line: RegExp): Promise<void> => {
      const log = () => readFileSync(join(lab.directory, 'run/ldirectord.log'), 'utf8');
      await waitFor(`${line.source} in the log`, 5, () => line.test(log()), log);
      t.equal(
        log()
          .split('\n')
          .filter((each) => line.test(each)).length,
        1,
        `once: ${line.source}`,
      );
    };
    await ipvsadm(
      `-A --sctp-service ${lab.vip}:${port} -s rr`,
      `-a --sctp-service ${lab.vip}:${port} -r 10.2.0.11:${port} -m`,
    );
    t.match(
      await ipvsadm('-L -n'),
      /^SCTP 10\.1\.0\.100:8080 rr\n {2}-> 10\.2\.0\.11:8080 +Masq +1 +0 +0/m,
      'sctp is kept',
    );
    await inTheLog(/sctp:10\.1\.0\.100:8080: .*no engine of this version forwards sctp/);

    await ipvsadm(
      '--start-daemon master --mcast-interface front',
      '--start-daemon backup --mcast-interface back',
    );
    t.equal(
      await ipvsadm('-L --daemon'),
      ['master sync daemon (mcast=front', 'backup sync daemon (mcast=back']
        .map((daemon) => `${daemon}, syncid=0, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n`)
        .join(''),
      'sync daemons are listed',
    );
    await inTheLog(/start-daemon: .*does not synchronise connections yet/);
    await ipvsadm('--stop-daemon master');
    t.match(await ipvsadm('-L --daemon'), /^backup [^\n]*\n$/, 'and stopped');
  };
  scenario(`${engine}: persistence, counters, deletion, and what is only kept`, body, { engine });
}
