import { scenario, tally } from './scenario.ts';

scenario('an IPv6 service', async (t, lab) => {
  const { servers } = lab;
  const config = lab.writeConfig(`checktimeout=1
checkinterval=1
failurecount=1
logfile="${lab.logfile}"
virtual6=[${lab.vip6}]:80
${servers.map((server) => `    real6=[${server.address6 ?? ''}]:80 masq\n`).join('')}    fallback6=[2001:db8:2::20]:80 masq
    service=http
    scheduler=rr
    request="test.html"
    receive="OK"
`);
  await lab.startDirectord(config, 'start');
  await lab.untilPoolOf(['[2001:db8:2::11]:80', '[2001:db8:2::12]:80', '[2001:db8:2::13]:80'], 10);
  const url = `http://[${lab.vip6}]/`;
  t.same(tally(await lab.curl(9, url)), { rs1: 3, rs2: 3, rs3: 3 }, 'spread over three servers');
  for (const server of servers) server.remove('test.html');
  await lab.untilPoolOf(['[2001:db8:2::20]:80'], 4);
  t.same(tally(await lab.curl(3, url)), { fallback: 3 }, 'the IPv6 fallback serves');
  t.match(
    (await lab.adm('-L', '-n')).stdout,
    /^TCP {2}\[2001:db8:1::100\]:80 rr$/m,
    'listed as ipvsadm does',
  );
});

for (const version of ['v1', 'v2']) {
  scenario(`PROXY protocol ${version} tells the server who the client is`, async (t, lab) => {
    const config = lab.writeConfig(`checkinterval=1
logfile="${lab.logfile}"
virtual=${lab.vip}:80
    real=10.2.0.11:81 masq
    checktype=connect
    proxyprotocol=${version}
`);
    await lab.startDirectord(config, 'start');
    await lab.untilPoolOf(['10.2.0.11:81'], 10);
    t.match(await lab.curl(1), [/^rs1 10\.1\.0\.2 \d+ 10\.1\.0\.100$/], 'its address and the VIP it asked');
  });
}
