import path from 'node:path';
import t from 'tap';
import { systemNames } from '../../src/platform/system-names.ts';

t.test('services come from the system file, the first line of a name or port wins', (t) => {
  const dir = t.testdir({
    services:
      '# comment\nhttp\t80/tcp\twww # WorldWideWeb\nweb 80/tcp\nhttp 8080/tcp\ndomain 53/udp\nodd 1/ddp\n',
  });
  const names = systemNames(path.join(dir, 'services'));
  t.equal(names.port('http', 'tcp'), 80);
  t.equal(names.port('www', 'tcp'), 80);
  t.equal(names.service(80, 'tcp'), 'http');
  t.equal(names.port('domain', 'tcp'), undefined);
  t.equal(names.service(53, 'udp'), 'domain');
  t.equal(names.port('odd', 'tcp'), undefined);
  t.equal(names.port('constructor', 'tcp'), undefined);
  t.end();
});

t.test('without the file the well-known services are known', (t) => {
  const names = systemNames('/nonexistent/services');
  t.equal(names.port('https', 'tcp'), 443);
  t.equal(names.service(5060, 'udp'), 'sip');
  t.end();
});

t.test('hosts are resolved by family; what does not resolve is no error', async (t) => {
  const names = systemNames();
  t.equal(await names.address('localhost', 'inet'), '127.0.0.1');
  t.equal(await names.address('nosuch.invalid', 'inet'), undefined);
  t.equal(await names.host('127.0.0.1'), 'localhost');
});
