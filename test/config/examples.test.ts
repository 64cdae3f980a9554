import t from 'tap';
import { complaints, configurationOf, virtualOf } from './parse-helpers.ts';

const flush = `virtual=172.17.60.207:80
real=192.168.6.4:80 masq 4
real=192.168.6.5:80 masq 2
real=192.168.6.5:80 masq 1
fallback=192.168.6.100:80 masq
protocol=tcp
scheduler=wrr
# monitorización do servidor real
service=http
request="test.html"
receive="OK"
`;

const common = `checktimeout=3
checkinterval=5
failurecount=3
autoreload=no
logfile="/var/log/ldirectord.log"
quiescent=no
cleanstop=yes

`;

t.test('a configuration pasted from a page without its indentation works, with a warning', async (t) => {
  const { global, virtuals } = await configurationOf(common + flush);
  t.equal(global.checkinterval, 5);
  t.equal(global.fallback, undefined, 'fallback= below virtual= belongs to it');
  const [virtual] = virtuals;
  t.match(virtual, {
    id: 'tcp:172.17.60.207:80',
    failurecount: 3,
    fallback: { address: '192.168.6.100', port: 80, forwarding: 'masq' },
    settings: { scheduler: 'wrr' },
  });
  t.same(
    virtual?.reals.map(({ address, weight }) => [address, weight]),
    [
      ['192.168.6.4', 4],
      ['192.168.6.5', 2],
      ['192.168.6.5', 1],
    ],
  );
  t.match(virtual?.reals[0]?.check, {
    url: 'http://192.168.6.4:80/test.html',
    receive: { text: 'OK', pattern: /OK/ },
    checktimeout: 3,
    negotiatetimeout: 3,
  });
  const [repeated, unindented, ...more] = (await complaints(flush)).toReversed();
  t.match(unindented, /^ld.cf:2:1: warning: lines 2 to 11 are not indented/);
  t.match(
    repeated,
    /^ld.cf:4:6: warning: .*192.168.6.5:80 is already at line 3: .*counts \(weight 1, masq\)/,
  );
  t.same(more, []);
});

t.test('column 0 means global in a file that ldirectord accepts', async (t) => {
  const global = await configurationOf('virtual=7\nquiescent=yes\nfallback=127.0.0.1\n');
  t.equal(global.global.quiescent, true);
  t.equal(global.global.fallback?.address, '127.0.0.1');
  t.same(await complaints('virtual=7\nquiescent=yes\nfallback=127.0.0.1\n'), []);
  t.match(
    await complaints('virtual=7\n    real=10.2.0.11 gate\nservice=http\n'),
    [/3:1: error: Unknown command service=http/],
    'an indented section is not continued in column 0',
  );
});

t.test('an indented section with comments, tabs and blanks', async (t) => {
  const virtual = await virtualOf(`${common}virtual=172.17.60.201:80
    # servidores reais balanceados en modo round-robin
    real=172.17.60.200:80 gate
\treal = 172.17.60.199:80 gate
# fallback=172.17.60.210:80 gate
        protocol=tcp
    scheduler=rr # round robin
    checktype=negotiate
    service=http
    request="test.html"
    receive="OK"
`);
  t.equal(virtual.reals.length, 2);
  t.equal(virtual.settings.scheduler, 'rr');
});

t.test('IPv6 services, servers and fallback', async (t) => {
  const virtual = await virtualOf(`virtual6=[2001:DB8:0::100]:http
    real6=[2001:db8::11]:80 masq
    real6=rs1v6:8080 gate 2
    fallback6=[::1]
    persistent=60
    netmask=64
`);
  t.equal(virtual.id, 'tcp:[2001:db8::100]:80');
  t.same(
    virtual.reals.map(({ check }) => check.url),
    ['http://[2001:db8::11]:80/', 'http://[2001:db8::11]:8080/'],
  );
  t.same(virtual.fallback, { address: '::1', port: 80, forwarding: 'gate' });
  t.equal(virtual.settings.netmask, 64);
});

t.test('a range is a server for each address', async (t) => {
  const virtual = await virtualOf('virtual=10.1.0.100:80\n    real=10.2.0.254->10.2.1.1:8080 masq 3\n');
  t.same(
    virtual.reals.map(({ address, port, weight }) => `${address}:${port} ${weight}`),
    ['10.2.0.254:8080 3', '10.2.0.255:8080 3', '10.2.1.0:8080 3', '10.2.1.1:8080 3'],
  );
  t.match(await complaints('virtual=10.1.0.100:80\n    real=10.0.0.0->11.0.0.0:80 gate\n'), [
    /at most 4096 servers/,
  ]);
});
