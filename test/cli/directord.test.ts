import t from 'tap';
import type { Invocation } from '../../src/cli/directord.ts';
import type { HostCommand } from '../../src/cli/host-commands.ts';
import { directord, programName } from '../../src/cli/directord.ts';

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly asked: Invocation | undefined;
  readonly onHost: HostCommand | undefined;
}

async function run(words: readonly string[], path = '/usr/sbin/directord', manual = false): Promise<Answer> {
  let out = '';
  let err = '';
  let asked: Invocation | undefined;
  let onHost: HostCommand | undefined;
  const code = await directord(['node', path, ...words], {
    streams: {
      out: (text) => (out += text),
      err: (text) => (err += text),
    },
    showManual: () => manual,
    perform: (invocation) => {
      asked = invocation;
      return Promise.resolve(42);
    },
    performOnHost: (command) => {
      onHost = command;
      return Promise.resolve(43);
    },
  });
  return { code, out, err, asked, onHost };
}

const defaults = {
  debug: false,
  foreground: false,
  engine: 'auto',
  control: undefined,
  monitor: true,
  sysctls: [],
  attach: 'auto',
  connections: undefined,
  mssClamp: false,
  probe: false,
  json: false,
};

void t.test('the argument grammar of ldirectord', async (t) => {
  const understood: [string[], string | undefined, string, object][] = [
    [['start'], undefined, 'start', {}],
    [['/etc/x.cf', 'start'], '/etc/x.cf', 'start', {}],
    [['-d', 'x.cf', 'try-restart'], 'x.cf', 'try-restart', { debug: true }],
    [['--debug', '--', 'x.cf', 'force-reload'], 'x.cf', 'force-reload', { debug: true }],
    [['--', '-x.cf', 'status'], '-x.cf', 'status', {}],
    [['-df', 'x.cf', 'start'], 'x.cf', 'start', { debug: true, foreground: true }],
    [['-d', 'true', 'stop'], 'true', 'stop', { debug: true }],
    [['007', 'reload'], '007', 'reload', {}],
    [['x.cf', 'start', 'more', 'words'], 'x.cf', 'start', {}],
    [
      ['--engine', 'relay', '--control', '/run/s', 'x.cf', 'start'],
      'x.cf',
      'start',
      { engine: 'relay', control: '/run/s' },
    ],
    [['--engine=packet', 'restart'], undefined, 'restart', { engine: 'packet' }],
    [['--no-monitor', 'start'], undefined, 'start', { monitor: false }],
    [['x.cf', 'check'], 'x.cf', 'check', {}],
    [['x.cf', 'check', '--probe'], 'x.cf', 'check', { probe: true }],
    [['x.cf', 'status', '--json'], 'x.cf', 'status', { json: true }],
    [
      ['--attach', 'tc', '--connections=1000000', 'start', '--mss-clamp'],
      undefined,
      'start',
      { attach: 'tc', connections: 1e6, mssClamp: true },
    ],
    // ours are understood behind the action as well
    [['x.cf', 'start', '--engine', 'relay'], 'x.cf', 'start', { engine: 'relay' }],
    [['x.cf', '--control=/s', 'start', '--foreground'], 'x.cf', 'start', { control: '/s', foreground: true }],
    [['start', '--no-monitor'], undefined, 'start', { monitor: false }],
  ];
  for (const [words, config, action, options] of understood) {
    const { code, asked, out, err } = await run(words);
    t.same(
      { code, config: asked?.config, action: asked?.action, options: asked?.options, out, err },
      { code: 42, config, action, options: { ...defaults, ...options }, out: '', err: '' },
      words.join(' '),
    );
  }
});

void t.test('what is not understood gets the usage on stdout and exit code 255', async (t) => {
  const every = 'start, stop, restart, try-restart, reload, force-reload, status, check';
  const noAction = (word: string) => `Unknown action: ${word} (one of ${every})\n`;
  const refused: [string[], string][] = [
    [[], `No action (one of ${every})\n`],
    [['bogus'], noAction('bogus')],
    [['start', 'extra'], noAction('extra')],
    [['start', '-d'], noAction('-d')],
    [['START'], noAction('START')],
    [['my.cf'], noAction('my.cf')],
    [['--no-monitor', 'check'], 'With --no-monitor there is no configuration to check\n'],
    [['my.cf', 'start', '--no-monitor'], 'With --no-monitor no configuration is read: my.cf\n'],
    [['-x', 'x.cf', 'start'], 'Unknown option: x\n'],
    [['-dx', 'start'], 'Unknown option: x\n'],
    [['-6', 'start'], 'Unknown option: 6\n'],
    [['-d5', 'start'], 'Option d does not take an argument\n'],
    [['--debug=1', 'start'], 'Argument unexpected for: debug\n'],
    [['--deb', 'start'], 'Unknown option: deb\n'],
    [['--no-debug', 'start'], 'Unknown option: no-debug\n'],
    [['--_', 'start'], 'Unknown option: _\n'],
    [['-x', '-h'], 'Unknown option: x\n'],
    [['--engine', 'kernel', 'start'], 'Unknown engine: kernel (one of auto, relay, packet, ebpf)\n'],
    [['x.cf', 'start', '--engine'], 'Option engine requires an argument\n'],
    [['--attach', 'xpd', 'start'], 'Unknown attachment: xpd (one of auto, xdp, tc)\n'],
    [['--connections', '1k', 'start'], 'Option connections is a number from 1024 to 16777216: 1k\n'],
    [['--control'], 'Option control requires an argument\n'],
  ];
  for (const [words, complaint] of refused) {
    const { code, out, err, asked } = await run(words);
    t.same({ code, err, asked }, { code: 255, err: complaint, asked: undefined }, words.join(' '));
    t.match(out, /^Usage:\n {4}directord \[-d\|--debug] \[--] \[configfile] start \| stop/);
  }
});

void t.test('an option behind the action is ignored as ldirectord does, but not in silence', async (t) => {
  const { code, asked, err } = await run(['x.cf', 'start', '-d']);
  t.same([code, asked?.options.debug, asked?.words], [42, false, ['x.cf', 'start']]);
  t.equal(err, 'directord: -d is ignored: options stand before the configuration file\n');
  for (const words of [
    ['x.cf', 'start', '--', '--no-monitor'],
    ['--', 'x.cf', 'start', '--no-monitor'],
  ]) {
    const { asked, err } = await run(words);
    t.same([asked?.config, asked?.options.monitor], ['x.cf', true], words.join(' '));
    t.match(err, /^directord: --no-monitor is ignored/);
  }
});

void t.test('version and help', async (t) => {
  const here = await run(['-v']);
  t.match(here.out, /^directord \d+\.\d+\.\d+ \(compatible with Linux Director v1\.186-ha\)\n$/);
  t.equal(here.code, 0);
  const there = await run(['--version', 'start'], '/usr/sbin/ldirectord');
  t.equal(there.out.split('\n')[0], 'Linux Director v1.186-ha', 'the line that tools look for');
  t.equal(there.asked, undefined);
  for (const option of ['-h', '-?', '--help']) {
    const { code, out } = await run([option]);
    t.equal(code, 0);
    t.match(out, /^Usage:/, 'without a manual page the usage');
  }
  t.equal((await run(['-h'], '/usr/sbin/directord', true)).out, '', 'with one, man has shown it');
});

void t.test('the name it was called by', async (t) => {
  t.equal(programName('/usr/sbin/ldirectord'), 'ldirectord');
  t.equal(programName('/opt/dist/bin/ldirectord.js'), 'ldirectord');
  t.equal(programName('/opt/dist/bin/directord.js'), 'directord');
  t.match(await run(['bogus'], '/usr/sbin/ldirectord'), { out: /^Usage:\n {4}ldirectord /, err: /^$/ });
  t.equal((await run(['x.cf', 'start'], '/usr/sbin/ldirectord')).asked?.program, 'ldirectord');
});

void t.test('the commands about this host', async (t) => {
  const realserver = {
    kind: 'realserver',
    config: 'x.cf',
    mode: 'print',
    via: undefined,
    as: undefined,
    marked: [],
  };
  const capture = {
    kind: 'capture',
    interfaces: [],
    every: 1,
    count: undefined,
    after: false,
    ng: false,
    control: undefined,
  };
  const simulate = {
    kind: 'simulate',
    protocol: 'tcp',
    source: { address: '10.9.0.7', port: 1 },
    target: { address: '10.1.0.100', port: 80 },
    interface: undefined,
    flags: 2,
    json: false,
    control: undefined,
  };
  const understood: [string, object][] = [
    ['realserver x.cf', realserver],
    ['realserver', { ...realserver, config: undefined }],
    ['realserver x.cf --apply --via arp', { ...realserver, mode: 'apply', via: 'arp' }],
    ['realserver --remove x.cf', { ...realserver, mode: 'remove' }],
    ['realserver --as 2001:DB8::0:1 x.cf', { ...realserver, as: '2001:db8::1' }],
    [
      'realserver x.cf --vip 10.1.0.1,10.1.0.2 --vip ::1',
      { ...realserver, marked: ['10.1.0.1', '10.1.0.2', '::1'] },
    ],
    ['doctor', { kind: 'doctor', config: undefined, engine: 'auto', attach: 'auto' }],
    ['doctor x.cf --engine packet', { kind: 'doctor', config: 'x.cf', engine: 'packet', attach: 'auto' }],
    ['--attach tc doctor x.cf', { kind: 'doctor', config: 'x.cf', engine: 'auto', attach: 'tc' }],
    ['capture', capture],
    [
      '--control /s capture eth0 --every 100 eth1 --count=5 --after --ng',
      {
        ...capture,
        interfaces: ['eth0', 'eth1'],
        every: 100,
        count: 5,
        after: true,
        ng: true,
        control: '/s',
      },
    ],
    ['simulate tcp 10.9.0.7:1 10.1.0.100:80', simulate],
    [
      'simulate UDP [2001:db8::7]:1 [2001:db8:1::100]:53 --interface eth0 --json --control /t',
      {
        ...simulate,
        protocol: 'udp',
        source: { address: '2001:db8::7', port: 1 },
        target: { address: '2001:db8:1::100', port: 53 },
        interface: 'eth0',
        flags: 0,
        json: true,
        control: '/t',
      },
    ],
    ['simulate tcp 10.9.0.7:1 10.1.0.100:80 --flags sa', { ...simulate, flags: 18 }],
  ];
  for (const [words, command] of understood) {
    const { code, onHost, err } = await run(words.split(' '));
    t.same({ code, onHost, err }, { code: 43, onHost: command, err: '' }, words);
  }
  const refused: [string, string][] = [
    ['realserver x.cf --apply --remove', 'realserver: --apply and --remove exclude each other\n'],
    ['realserver x.cf --via dr', 'realserver: Unknown way: dr (one of iptables, arp, ipip)\n'],
    ['realserver x.cf --as rs1', 'realserver: --as rs1: not an IP address\n'],
    ['realserver x.cf --force', "realserver: Unknown option '--force'\n"],
    ['doctor x.cf y.cf', 'doctor: one configuration file at most: x.cf y.cf\n'],
    ['doctor --engine kernel', 'doctor: Unknown engine: kernel (one of auto, relay, packet, ebpf)\n'],
    ['-x doctor', 'Unknown option: x\n'],
    ['capture --every 0', 'capture: --every 0: a number from 1 on\n'],
    ['capture --fast', "capture: Unknown option '--fast'\n"],
    [
      'simulate tcp 10.1.0.100:80',
      'simulate: PROTO SRC:PORT VIP:PORT, as in tcp 10.9.0.7:40000 10.1.0.100:80\n',
    ],
    ['simulate tcp 10.9.0.7 [::1]:80', 'simulate: 10.9.0.7: no ADDRESS:PORT\n'],
    ['simulate tcp 10.9.0.7:1 [::1]:80', 'simulate: one address is of IPv4 and one of IPv6\n'],
    ['simulate tcp 10.9.0.7:1 10.1.0.100:80 --flags SX', 'simulate: --flags SX: letters of FSRPAU\n'],
    ['simulate sctp 10.9.0.7:1 10.1.0.100:80', 'simulate: sctp: neither tcp nor udp\n'],
  ];
  for (const [words, complaint] of refused) {
    const { code, err, onHost } = await run(words.split(' '));
    t.same({ code, err, onHost }, { code: 255, err: complaint, onHost: undefined }, words);
  }
  for (const words of ['doctor check', 'realserver start', 'doctor try-restart', '-- doctor status']) {
    const { asked, onHost } = await run(words.split(' '));
    t.same([asked?.config === undefined, onHost], [false, undefined], `${words}: a file of that name`);
  }
});
