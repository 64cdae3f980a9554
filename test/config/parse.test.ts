import t from 'tap';
import { complaints, configurationOf, virtualOf } from './parse-helpers.ts';

const head = 'virtual=10.1.0.100:80\n';
const section = `${head}    real=10.2.0.11:80 gate\n`;

t.test('a request of a real server that begins with a slash keeps receive and thresholds', async (t) => {
  const { reals } = await virtualOf(
    `${head}    request="all"\n    real=10.2.0.11:80 gate 2 "/a", "b" l:1 u:9\n`,
  );
  t.match(reals[0], {
    weight: 2,
    lowerThreshold: 1,
    upperThreshold: 9,
    check: { request: '/a', url: 'http://10.2.0.11:80/a', receive: /b/ },
  });
});

t.test('what ldirectord would misread is an error that says what was meant', async (t) => {
  t.match(await complaints('virtual=10.1.0.100\n    real=10.2.0.11:80 gate\n'), [
    /1:9: error: .*such as 10.1.0.100:80 \(ldirectord would take 10 for a firewall mark\)/,
  ]);
  t.match(await complaints(`${head}    real=10.2.0.11::80 gate\n`), [
    /2:10: error: .*one colon before the port: 10.2.0.11:80 /,
  ]);
  t.match(await complaints('virtual=[2001:db8::1]:80\n    real=10.2.0.11:80 gate\n'), [
    /please use "virtual6" instead., expected virtual6=\[2001:db8::1\]:80/,
  ]);
});

t.test('a # within quotes is no comment, behind them it is', async (t) => {
  const { reals } = await virtualOf(`${section}    receive="a#b" # "c"\n`);
  t.equal(reals[0]?.check.receive?.pattern.source, 'a#b');
});

t.test('a global fallback serves every service, with the port of each', async (t) => {
  const { virtuals } = await configurationOf(
    `fallback=127.0.0.1 masq\n${section}virtual=7\n    real=10.2.0.11 gate\nvirtual=8\n    real=10.2.0.11 gate\n    fallback=rs2:81\n`,
  );
  t.same(
    virtuals.map(({ fallback }) => fallback),
    [
      { address: '127.0.0.1', port: 80, forwarding: 'masq' },
      { address: '127.0.0.1', port: 0, forwarding: 'masq' },
      { address: '10.2.0.12', port: 81, forwarding: 'gate' },
    ],
  );
});

t.test('receive is ignored with HEAD, and the file is told so', async (t) => {
  const text = `${section}    httpmethod=HEAD\n    receive="OK"\n`;
  t.equal((await virtualOf(text)).reals[0]?.check.receive, undefined);
  t.match(await complaints(text), [/ld.cf:4:13: warning: receive is ignored with httpmethod=HEAD/]);
});

t.test('directives of our own', async (t) => {
  const { virtuals } = await configurationOf(
    `proxyprotocol = v2\n${section}virtual=10.1.0.100:443\n    real=10.2.0.11 masq\n    tlsverify = full\n    proxyprotocol=no\n`,
  );
  t.same(
    virtuals.map(({ settings, reals }) => [settings.proxyProtocol, reals[0]?.check.tlsverify]),
    [
      ['v2', 'chain'],
      ['none', 'full'],
    ],
  );
  t.match(await complaints(`${section}    tlsverify=maybe\n`), [
    /3:15: error: tlsverify must be 'none', 'chain', 'full'/,
  ]);
  const verified = async (port: number): Promise<unknown> =>
    (await virtualOf(`virtual=10.1.0.100:${port}\n    real=10.2.0.11 masq\n`)).reals[0]?.check.tlsverify;
  t.same([await verified(443), await verified(995), await verified(636)], ['chain', 'full', 'none']);
});

t.test('flapdamping: globally, in a section, and switched off there', async (t) => {
  const { global, virtuals } = await configurationOf(
    `flapdamping = 4/60\n${section}virtual=10.1.0.100:81\n    flapdamping=6 / 300\nvirtual=10.1.0.100:82\n    flapdamping=no\n`,
  );
  const ofAll = { changes: 4, seconds: 60 };
  t.same(
    [global, ...virtuals].map(({ flapdamping }) => flapdamping),
    [ofAll, ofAll, { changes: 6, seconds: 300 }, undefined],
  );
  for (const wrong of ['1/60', '4/0', '4', 'yes', '4/60s']) {
    t.match(
      await complaints(`${section}    flapdamping=${wrong}\n`),
      [/:3:17: error: invalid flap damping/],
      wrong,
    );
  }
});

t.test('scheduler flags become bits, for their own scheduler only', async (t) => {
  const flags = async (scheduler: string, names: string): Promise<number> =>
    (await virtualOf(`${section}    scheduler=${scheduler}\n    schedflags=${names}\n`)).settings
      .schedulerFlags;
  t.equal(await flags('sh', 'sh-port,sh-fallback'), 3);
  t.equal(await flags('mh', 'mh-port'), 2);
  t.equal(await flags('rr', 'flag-3'), 4);
  t.match(await complaints(`${section}    scheduler=rr\n    schedflags=sh-port\n`), [
    /4:16: warning: "sh-port" is no flag of scheduler rr/,
  ]);
});

t.test('each timeout stands in for the other before the level above is asked', async (t) => {
  const timeouts = async (global: string, own: string): Promise<unknown> => {
    const check = (await virtualOf(`${global}${section}${own}`)).reals[0]?.check;
    return [check?.checktimeout, check?.negotiatetimeout];
  };
  t.same(await timeouts('', ''), [5, 30]);
  t.same(await timeouts('negotiatetimeout=9\n', ''), [9, 9]);
  t.same(await timeouts('negotiatetimeout=9\n', '    checktimeout=2\n'), [2, 2]);
});

t.test('an interval of its own counts only when services are checked apart', async (t) => {
  const own = `${section}    checkinterval=3\n`;
  t.equal((await virtualOf(own)).checkinterval, 10);
  t.equal((await virtualOf(`fork=yes\n${own}`)).checkinterval, 3);
});

t.test('logins come with an explicit ftp or sip only', async (t) => {
  const login = async (text: string): Promise<unknown> => {
    const check = (await virtualOf(text)).reals[0]?.check;
    return [check?.service, check?.login, check?.password];
  };
  const ftp = 'virtual=10.1.0.100:21\n    real=10.2.0.11 masq\n';
  t.same(await login(ftp), ['ftp', '', '']);
  t.same(await login(`${ftp}    login="me"\n    service=ftp\n`), ['ftp', 'me', 'ldirectord@director']);
});
