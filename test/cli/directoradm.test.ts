/** What directoradm shows beyond the recorded scripts: counters, connections, our own options, no director, big tables. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import { directoradm } from '../../src/cli/directoradm.ts';
import { restoreScript } from '../../src/cli/directoradm-scripts.ts';
import { ControlClient } from '../../src/control/client.ts';
import { ControlUnavailable } from '../../src/control/unavailable.ts';
import type { ConnectionEntry, Counters, EngineReport } from '../../src/engines/engine.ts';
import { Lab, names } from './directoradm-harness.ts';

const counters: Counters = {
  connections: 1,
  inPackets: 32123,
  outPackets: 14936,
  inBytes: 1251_206_604,
  outBytes: 777400,
};
const report: EngineReport = {
  totals: counters,
  services: [
    {
      id: { kind: 'address', protocol: 'tcp', address: '10.1.0.100', port: 80 },
      counters: { ...counters, inBytes: 150_206_604 },
      destinations: [
        { id: { address: '10.2.0.12', port: 80 }, counters, active: 12, inactive: 345, persistent: 6 },
      ],
    },
  ],
};

async function lab(): Promise<Lab> {
  const made = new Lab({
    report,
    rates: {
      rates: () => ({
        connections: 123456789,
        inPackets: 2930,
        outPackets: 1332,
        inBytes: 114_222_000,
        outBytes: 5e13,
      }),
    },
  });
  await made.shell(
    'ipvsadm -A -t 10.1.0.100:80 -p 60; ipvsadm -a -t 10.1.0.100:80 -r 10.2.0.12 -m -w 3 -x 9 -y 4',
  );
  return made;
}

const lines = (text: string): readonly string[] => text.split('\n').slice(3, -1);

t.test('counters and rates, abbreviated and exact', async (t) => {
  const director = await lab();
  t.same(lines((await director.shell('ipvsadm -Ln --stats')).stdout), [
    'TCP  10.1.0.100:80                       1    32123    14936  150206K   777400',
    '  -> 10.2.0.12:80                        1    32123    14936    1251M   777400',
  ]);
  t.same(lines((await director.shell('ipvsadm -Ln --stats --exact')).stdout), [
    'TCP  10.1.0.100:80                       1    32123    14936 150206604   777400',
    '  -> 10.2.0.12:80                        1    32123    14936 1251206604   777400',
  ]);
  t.same(lines((await director.shell('ipvsadm -Ln --rate')).stdout), [
    'TCP  10.1.0.100:80                 123456K     2930     1332  114222K   50000G',
    '  -> 10.2.0.12:80                 123456789     2930     1332  114222K   50000G',
  ]);
});

t.test('connection counts in the listings that have them', async (t) => {
  const director = await lab();
  t.equal(
    lines((await director.shell('ipvsadm -Ln')).stdout)[1],
    '  -> 10.2.0.12:80                 Masq    3      12         345       ',
  );
  t.equal(
    lines((await director.shell('ipvsadm -Ln --persistent-conn')).stdout)[1],
    '  -> 10.2.0.12:80                 3         6           12         345       ',
  );
  t.equal(
    lines((await director.shell('ipvsadm -Ln --thresholds')).stdout)[1],
    '  -> 10.2.0.12:80                 9          4          12         345       ',
  );
});

t.test('connections', async (t) => {
  const entry: ConnectionEntry = {
    protocol: 'tcp',
    state: 'ESTABLISHED',
    expires: 899.6,
    client: '10.1.0.2',
    clientPort: 50001,
    virtual: '10.1.0.100',
    virtualPort: 80,
    destination: '192.168.50.11',
    destinationPort: 8080,
  };
  const director = new Lab({
    connections: [
      entry,
      {
        ...entry,
        protocol: 'ip',
        state: 'ASSURED',
        expires: 59,
        clientPort: 0,
        virtual: '0.0.0.7',
        virtualPort: 0,
      },
      {
        ...entry,
        client: '2001:db8:1::2',
        virtual: '2001:db8:1::100',
        destination: '2001:db8:2::12',
        expires: 360000,
      },
    ],
  });
  t.equal(
    (await director.shell('ipvsadm -Lnc')).stdout,
    [
      'IPVS connection entries',
      'pro expire state       source             virtual            destination',
      'TCP 14:59  ESTABLISHED 10.1.0.2:50001     10.1.0.100:80      192.168.50.11:8080',
      'IP  00:59  ASSURED     10.1.0.2:0         0.0.0.7:0          192.168.50.11:8080',
      'TCP 6000:00 ESTABLISHED [2001:db8:1::2]:50001 [2001:db8:1::100]:80 [2001:db8:2::12]:8080',
      '',
    ].join('\n'),
  );
  t.match((await director.shell('ipvsadm -Lc')).stdout, / 10\.1\.0\.100:http +web1\.example\.com:http-alt\n/);
  t.equal((JSON.parse((await director.shell('ipvsadm -Lc --json')).stdout) as unknown[]).length, 3);
});

t.test('the PROXY protocol is set, shown, saved and restored', async (t) => {
  const director = new Lab();
  t.equal((await director.shell('ipvsadm -A -t 10.0.0.1:80 -s rr --proxy-protocol v2')).rc, 0);
  t.match((await director.shell('ipvsadm -Ln')).stdout, /\nTCP {2}10\.0\.0\.1:80 rr proxy-protocol v2\n/);
  const saved = (await director.shell('ipvsadm -S -n')).stdout;
  t.equal(saved, '-A -t 10.0.0.1:80 -s rr --proxy-protocol v2\n');
  await director.shell('ipvsadm -C');
  t.equal((await director.run(['ipvsadm', '-R'], saved)).rc, 0);
  t.equal((await director.shell('ipvsadm -S -n')).stdout, saved);
  t.match(await director.shell('ipvsadm -E -t 10.0.0.1:80 --proxy-protocol v3'), {
    rc: 2,
    stderr: 'illegal proxy-protocol specified\n',
  });
  t.match(await director.shell('ipvsadm -D -t 10.0.0.1:80 --proxy-protocol v1'), {
    rc: 2,
    stderr: "Illegal 'proxy-protocol' option with the 'delete-service' command\n",
  });
});

t.test('a listing as JSON', async (t) => {
  const director = await lab();
  const [service] = JSON.parse((await director.shell('ipvsadm -L --json')).stdout) as {
    destinations: unknown[];
  }[];
  t.match(service?.destinations[0], { id: { address: '10.2.0.12' }, active: 12, forwarding: 'masq' });
});

t.test('how full the tables of an engine are', async (t) => {
  const fill = {
    family: 4,
    table: 'connections',
    used: 1536,
    slots: 524_288,
    refused: 7,
    unpromoted: 12,
  } as const;
  const half = {
    ...fill,
    family: 6,
    table: 'half-open connections',
    used: 0,
    refused: 0,
    unpromoted: 0,
  } as const;
  const director = new Lab({ tables: [fill, half] });
  t.equal(
    (await director.shell('ipvsadm -L --tables')).stdout,
    [
      'Family Table                         Used      Slots       Full    Refused Unpromoted',
      'IPv4   connections                   1536     524288         0%          7         12',
      'IPv6   half-open connections            0     524288         0%          0          0',
      '',
    ].join('\n'),
  );
  t.same(JSON.parse((await director.shell('ipvsadm -L --tables --json')).stdout), [fill, half]);
  t.match(await (await lab()).shell('ipvsadm -L --tables'), { rc: 0, stdout: /no fixed size/ });
  t.match(await director.shell('ipvsadm -L --tables --daemon'), {
    rc: 2,
    stderr: /'tables' conflicts with the 'daemon' option/,
  });
});

t.test('the texts of /proc/net', async (t) => {
  const director = await lab();
  const { rc, stdout, stderr } = await director.shell('ipvsadm --proc ip_vs');
  t.same([rc, stderr], [0, '']);
  t.same(lines(stdout), [
    'TCP  0A010064:0050 wlc  persistent 6000 FFFFFFFF',
    '  -> 0A02000C:0050      Masq    3      12         345       ',
  ]);
  t.match(
    (await director.shell('ipvsadm --control x --proc=ip_vs_conn')).stdout,
    'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n',
  );
  t.match(lines((await director.shell('ipvsadm --proc ip_vs_stats --control x')).stdout), [
    '',
    ' Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s',
    '       0        0        0                0                0',
  ]);
  t.same(await director.shell('ipvsadm --proc ip_vs_app'), {
    rc: 2,
    stdout: '',
    stderr: "--proc takes one of ip_vs, ip_vs_conn, ip_vs_stats, not 'ip_vs_app'\n",
  });
  t.match(await director.shell('ipvsadm --proc ip_vs -n'), { rc: 2, stderr: /^Illegal 'numeric' option/ });
});

t.test('2,000 services are restored and saved', async (t) => {
  const director = new Lab();
  let commands = '';
  for (let n = 0; n < 2000; n++) {
    const service = `10.${n >> 8}.${n & 0xff}.1:80`;
    commands += `-A -t ${service} -s rr\n-a -t ${service} -r 192.168.0.1:80 -g -w 1\n`;
  }
  t.same(await director.run(['ipvsadm', '-R'], commands), { rc: 0, stdout: '', stderr: '' });
  t.equal((await director.shell('ipvsadm -S -n')).stdout, commands);
});

t.test('without a director the message says where it was looked for and what to do', async (t) => {
  const place = mkdtempSync(join(tmpdir(), 'adm-'));
  t.teardown(() => {
    rmSync(place, { recursive: true });
  });
  const asked: (string | undefined)[] = [];
  const call = async (words: readonly string[]): Promise<{ rc: number; out: string; err: string }> => {
    let out = '';
    let err = '';
    const rc = await directoradm(words, {
      program: 'directoradm',
      version: () => '9.9.9',
      names: () => Promise.resolve(names),
      connect(control) {
        asked.push(control);
        return ControlClient.connect(join(place, control ?? 'control.sock'));
      },
      out: (text) => (out += text),
      err: (text) => (err += text),
      input: () => process.stdin as AsyncIterable<string>,
    });
    return { rc, out, err };
  };
  const absent = await call(['-L', '-n', '--control', 'mine']);
  t.equal(absent.rc, 2);
  t.match(
    absent.err,
    /^Can't initialize ipvs: no directord answers on .*\/mine \(start it with 'directord start'/,
  );
  t.match(absent.err, /\nAre you sure that IP Virtual Server is built in the kernel or as module\?\n$/);
  t.equal((await call(['--control', 'other', '-Z'])).rc, 2);
  t.same(asked, ['mine', 'other']);
  t.match(await call(['-v']), { rc: 0, out: /^ipvsadm v1\.31 .*\ndirectord 9\.9\.9\n$/ });
  t.match(await call(['-h']), { rc: 0, out: /\n {2}directoradm -A\|E virtual-service .*\n(.*\n)+.*--json/ });
  t.match(await call(['frob']), { rc: 255, err: "Try `directoradm -h' or 'directoradm --help'" });
});

t.test('ipvsadm-restore goes no further when the table cannot be cleared', async (t) => {
  let asked = 0;
  let err = '';
  const status = await restoreScript({
    program: 'ipvsadm',
    version: () => '9.9.9',
    names: () => Promise.resolve(names),
    connect: () => {
      asked++;
      return Promise.reject(new ControlUnavailable('absent', 'nobody answers'));
    },
    out: t.fail.bind(t),
    err: (text) => (err += text),
    input: async function* () {
      yield await Promise.resolve('-A -t 10.0.0.1:80\n');
    },
  });
  t.same([status, asked], [2, 1]);
  t.match(err, /^Can't initialize ipvs: nobody answers/);
});

t.test('a restore that loses its director says so, also while it waits for the next line', async (t) => {
  const unused = (): never => t.fail('is not asked for') as never;
  let err = '';
  const status = await directoradm(['-R'], {
    program: 'directoradm',
    version: unused,
    names: () => Promise.resolve(names),
    connect: () =>
      Promise.resolve({
        apply: unused,
        applyAll: () => Promise.reject(new ControlUnavailable('broken', 'directord closed the connection')),
        settled: unused,
        list: unused,
        connections: unused,
        tables: unused,
        statistics: unused,
        health: unused,
        timeouts: unused,
        syncDaemons: unused,
        close: () => undefined,
      }),
    out: unused,
    err: (text) => (err += text),
    input: async function* () {
      yield '-C\n';
      // the answer comes, and nobody waits for it
      await setImmediate();
      await setImmediate();
      yield '-C\n';
    },
  });
  t.same([status, err], [255, 'directord closed the connection\n']);
});
