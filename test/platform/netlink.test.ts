import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';

const skip = process.getuid?.() === 0 ? false : 'network namespaces need root';
const namespace = `nh-${process.pid}`;

function ip(...lines: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', ['-n', namespace, '-batch', '-'], {
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}

function run(file: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

interface Kernel {
  ask(method: string, ...args: readonly (string | number)[]): Promise<unknown>;
  end(): Promise<void>;
}

/** A Netlink in the namespace. */
function kernel(): Kernel {
  const program = join(import.meta.dirname, 'netlink-child.ts');
  const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, ...process.execArgv, program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(method, ...args) {
      child.stdin.write(`${JSON.stringify([method, ...args.map(String)])}\n`);
      const line = (await lines.next()) as IteratorResult<string, undefined>;
      if (line.done === true) throw new Error('the program in the namespace has ended');
      return JSON.parse(line.value) as unknown;
    },
    async end() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

/** left and right are the two ends of one cable; the other one's far end is nobody. */
const topology = [
  'link set lo up',
  'link add left address 02:00:00:00:00:01 mtu 1500 type veth peer name right address 02:00:00:00:00:02',
  'link add br0 type bridge',
  'link set right master br0',
  'link add outer type ifb',
  'tuntap add tunnel mode tun',
  'link set left up',
  'link set right up',
  'link set br0 up',
  'link set outer mtu 1400 up',
  'link set tunnel up',
  'address add 10.9.0.1/24 dev left',
  'address add 2001:db8:9::1/64 dev left nodad',
  'address add 10.8.0.1/24 dev outer',
  'address add 10.8.0.2/32 dev outer',
  'route add default via 10.9.0.254',
  'route add default via 2001:db8:9::fe',
  'route add 192.0.2.0/24 via 10.9.0.253 mtu 1300 src 10.8.0.1',
  'route add 198.51.100.0/24 dev tunnel',
  'route add unreachable 203.0.113.0/26',
  'route add blackhole 203.0.113.64/26',
  'route add prohibit 203.0.113.128/26',
  'route add unreachable 2001:db8:bad::/48',
  'route add 100.64.0.0/10 via inet6 2001:db8:9::fd dev left',
  'rule add from 10.8.0.2 lookup 100',
  'route add default via 10.8.0.254 table 100',
  'neighbour add 10.9.0.7 lladdr 02:00:00:00:00:77 nud permanent dev left',
  'neighbour add 10.9.0.8 lladdr 02:00:00:00:00:88 nud stale dev left',
  'neighbour add 2001:db8:9::7 lladdr 02:00:00:00:00:67 nud reachable dev left',
];

t.test('the kernel tells', { skip }, async (t) => {
  run('ip', 'netns', 'add', namespace);
  t.teardown(() => run('ip', 'netns', 'delete', namespace));
  ip(...topology);
  const netlink = kernel();
  t.teardown(() => netlink.end());
  const links = (await netlink.ask('links')) as readonly { readonly name: string; readonly index: number }[];
  const index = (name: string): number => links.find((link) => link.name === name)?.index ?? -1;

  t.test('its links', (t) => {
    const named = (name: string): unknown => links.find((link) => link.name === name);
    t.match(named('left'), {
      mac: '020000000001',
      mtu: 1500,
      up: true,
      ethernet: true,
      loopback: false,
      arp: true,
      master: 0,
      kind: 'veth',
    });
    t.match(named('right'), { mac: '020000000002', master: index('br0') });
    t.match(named('br0'), { kind: 'bridge', ethernet: true, master: 0 });
    t.match(named('outer'), { kind: 'ifb', mtu: 1400, arp: false });
    t.match(named('tunnel'), { kind: 'tun', ethernet: false });
    t.match(named('lo'), { loopback: true, ethernet: false, kind: '' });
    t.end();
  });

  t.test('its addresses', async (t) => {
    const found = (await netlink.ask('addresses')) as readonly object[];
    const has = (name: string, address: string, prefix: number): void => {
      t.ok(
        found.some((entry) => same(entry, { interfaceIndex: index(name), address, prefix })),
        `${address}/${prefix} on ${name}`,
      );
    };
    has('lo', '127.0.0.1', 8);
    has('lo', '::1', 128);
    has('left', '10.9.0.1', 24);
    has('left', '2001:db8:9::1', 64);
    has('outer', '10.8.0.2', 32);
  });

  t.test('routes', async (t) => {
    const route = (...args: readonly string[]): Promise<unknown> => netlink.ask('route', ...args);
    const unicast = { kind: 'unicast', mtu: 0, interfaceIndex: index('left') };
    t.match(await route('8.8.8.8'), { ...unicast, gateway: '10.9.0.254', source: '10.9.0.1' });
    t.match(await route('10.9.0.7'), { ...unicast, source: '10.9.0.1' });
    t.notOk(((await route('10.9.0.7')) as { gateway?: string }).gateway, 'on the link there is no gateway');
    t.match(await route('192.0.2.9'), { mtu: 1300, gateway: '10.9.0.253', source: '10.8.0.1' });
    t.match(await route('2001:db8:7::7'), { ...unicast, gateway: '2001:db8:9::fe', source: '2001:db8:9::1' });
    t.match(await route('198.51.100.1'), { kind: 'unicast', interfaceIndex: index('tunnel') });
    t.match(await route('10.9.0.1'), { kind: 'local', source: '10.9.0.1' });
    t.match(await route('127.0.0.1'), { kind: 'local', interfaceIndex: index('lo') });
    t.match(await route('10.9.0.255'), { kind: 'broadcast' });
    t.match(await route('224.0.0.9'), { kind: 'multicast' });
    t.match(await route('100.64.0.1'), { gateway: '2001:db8:9::fd', source: '10.9.0.1' }, 'RFC 5549');
    for (const nowhere of ['203.0.113.1', '203.0.113.65', '203.0.113.129'])
      t.equal(await route(nowhere), null, nowhere);
    t.match((await route('2001:db8:bad::1')) ?? { kind: 'unreachable' }, { kind: 'unreachable' });
    t.match(await route('8.8.8.8', '10.8.0.2'), {
      gateway: '10.8.0.254',
      interfaceIndex: index('outer'),
      source: '10.8.0.2',
    });
    t.equal(await route('8.8.8.8', '172.16.0.1'), null, 'from an address that is not here');
  });

  t.test('neighbours', async (t) => {
    const left = index('left');
    const neighbour = (address: string): Promise<unknown> => netlink.ask('neighbour', left, address);
    t.match(await neighbour('10.9.0.7'), { mac: '020000000077', reachable: true, fixed: true });
    t.match(await neighbour('10.9.0.8'), { mac: '020000000088', reachable: false, fixed: false });
    t.match(await neighbour('2001:db8:9::7'), { mac: '020000000067', reachable: true, fixed: false });
    t.equal(await neighbour('10.9.0.99'), null);
    t.equal(await netlink.ask('neighbour', 9999, '10.9.0.7'), null, 'of a link that is not there');
    const all = (await netlink.ask('neighbours')) as readonly { readonly address: string }[];
    t.ok(all.some(({ address }) => address === '10.9.0.8'));
  });

  t.test('what changes', async (t) => {
    t.equal(await netlink.ask('changed'), false, 'nothing before it is asked for');
    await netlink.ask('subscribe');
    t.equal(await netlink.ask('changed'), false);
    for (const change of [
      'route add 172.16.0.0/16 via 10.9.0.250',
      'route add 2001:db8:16::/48 via 2001:db8:9::fe',
      'rule add from 10.8.0.3 lookup 100',
      '-6 rule add from 2001:db8:9::1 lookup 100',
      'address add 10.8.0.3/32 dev outer',
      'address add 2001:db8:8::3/128 dev outer nodad',
      'link set outer mtu 1300',
    ]) {
      run('ip', '-n', namespace, ...change.split(' '));
      t.equal(await netlink.ask('changed'), true, change);
      t.equal(await netlink.ask('changed'), false, 'once');
    }
    // more than the socket's buffer holds
    const flood = Array.from({ length: 2000 }, (_, i) => `route add 172.20.${i >> 8}.${i & 255}/32 dev left`);
    ip(...flood);
    t.equal(await netlink.ask('changed'), true, 'too many at once');
    t.equal(await netlink.ask('changed'), false);
    t.match(await netlink.ask('route', '172.16.1.1'), { gateway: '10.9.0.250' });
  });
});

function same(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
