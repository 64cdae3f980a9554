import t from 'tap';
import { withMaintenance } from '../../src/monitor/maintenance.ts';
import { settle } from './fake-clock.ts';
import { checkSettings } from '../support/configuration.ts';

const up = { up: true, detail: 'ok', milliseconds: 1 };
const signal = new AbortController().signal;

void t.test('a file named after the server takes it out', async (t) => {
  let files: string[] = [];
  const check = withMaintenance(() => Promise.resolve(up), {
    directory: () => '/etc/maintenance',
    list: () => Promise.resolve(files),
    host: (address) => Promise.resolve(address === '10.2.0.11' ? 'Web1.Example.org' : undefined),
    log: (message) => t.fail(message),
  });
  const server = checkSettings({ address: '10.2.0.11', port: 8443, realPort: 80 });
  t.same(await check(server, signal), up);
  await settle();
  for (const name of [
    '10.2.0.11:80',
    '10.2.0.11',
    'web1.example.org:80',
    'web1.example.org',
    'web1:80',
    'web1',
  ]) {
    files = ['other', name];
    t.match(
      await check(server, signal),
      { up: false, detail: 'Server in maintenance', immediate: true },
      name,
    );
  }
  files = ['10.2.0.11:8443', '10.2.0.1'];
  t.same(await check(server, signal), up, 'the port is that of the server, not of its check');
  files = ['[2001:db8::11]:80'];
  t.match(await check(checkSettings({ address: '2001:db8::11', realPort: 80 }), signal), { up: false });
});

void t.test(
  'without a directory nothing is looked up; one that can not be read is no maintenance',
  async (t) => {
    const present: { directory?: string } = {};
    const log: string[] = [];
    const check = withMaintenance(() => Promise.resolve(up), {
      directory: () => present.directory,
      list: () => Promise.reject(new Error('EACCES')),
      host: () => Promise.reject(new Error('no resolver')),
      log: (message) => log.push(message),
    });
    t.same(await check(checkSettings(), signal), up);
    t.same(log, []);
    present.directory = '/etc/maintenance';
    t.same(await check(checkSettings(), signal), up);
    await settle();
    t.same(log.sort(), [
      'Can not look up the name of 127.0.0.1: Error: no resolver',
      'Can not read maintenance directory /etc/maintenance: Error: EACCES',
    ]);
  },
);
