import t from 'tap';
import type { CheckSettings } from '../../src/config/model.ts';
import { MonitorFiles, monitorText } from '../../src/monitor/monitor-file.ts';
import { virtualOf } from '../config/parse-helpers.ts';
import { checkSettings, real, virtual } from '../support/configuration.ts';
import { settle } from './fake-clock.ts';
import { stage } from './stage.ts';
import { configuration } from '../support/configuration.ts';

async function checkOf(lines: string, server = 'real=10.2.0.11:80 masq'): Promise<CheckSettings> {
  const text = `virtual=10.1.0.100:80\n    ${server}\n${lines
    .split('\n')
    .map((line) => `    ${line}\n`)
    .join('')}`;
  const [found] = (await virtualOf(text)).reals;
  if (found === undefined) throw new Error('no real server');
  return found.check;
}

const well = { up: true, detail: '200 OK', milliseconds: 1 };
const ill = { up: false, detail: 'Connection refused', milliseconds: 1 };

void t.test('lines as the original wrote them', async (t) => {
  const http = await checkOf(
    'service=http\nrequest="index.html?a=1"\nvirtualhost=www.x.y\nreceive="Test P.ge"',
    'real=10.2.0.11:8000 masq',
  );
  t.equal(
    monitorText(http, well),
    'negotiate http tcp 10.2.0.11 8000 www.x.y 1 masq /index.html?a=1 Test P.ge [up] 200 OK',
  );
  t.equal(
    monitorText(http, { ...ill, detail: '404 Not Found' }),
    'negotiate http tcp 10.2.0.11 8000 www.x.y 1 masq /index.html?a=1 Test P.ge [down] 404 Not Found',
  );
  const smtp = await checkOf('service=smtp', 'real=10.2.0.11:25 masq');
  t.equal(monitorText(smtp, ill), 'negotiate smtp tcp 10.2.0.11 25 1 masq /  [down] -');
  t.equal(monitorText(smtp, well), 'negotiate smtp tcp 10.2.0.11 25 1 masq /  [up] -');
  const dns = await checkOf('service=dns\nprotocol=udp\nrequest="www.x.y"\nreceive="192.168.1.77"');
  t.equal(monitorText(dns, well), 'negotiate dns udp 10.2.0.11 80 1 masq /www.x.y 192.168.1.77 [up] Success');
  const connect = await checkOf('checktype=connect\ncheckport=8080');
  t.equal(monitorText(connect, ill), 'connect tcp 10.2.0.11 80 8080 1 masq /  [down] -');
});

void t.test('what a server says stays in its line', (t) => {
  const http = checkSettings({ type: 'negotiate', service: 'http', id: 'negotiate:http' });
  const detail = '100% a|b\r\n[x] [up] \u001b[2J';
  t.equal(monitorText(http, { ...ill, detail }), 'negotiate http [down] 100%25 a%7cb%0d%0a[x] [up] %1b[2J');
  t.ok((monitorText(http, { ...ill, detail: 'x'.repeat(100_000) }) ?? '').length < 2000, 'nor is it endless');
  t.end();
});

void t.test('which results are not written', (t) => {
  const written = (type: CheckSettings['type'], up: boolean, more: Partial<CheckSettings> = {}): boolean =>
    monitorText(checkSettings({ type, ...more }), up ? well : ill) !== undefined;
  t.same(
    [written('on', true), written('off', false), written('external-perl', true), written('ping', false)],
    [false, false, false, false],
  );
  t.equal(written('connect', false, { protocol: 'udp' }), false, 'a failed ping by another name');
  t.same([written('ping', true), written('external', false), written('combined', false)], [true, true, true]);
  const maintenance = { ...ill, detail: 'Server in maintenance', immediate: true };
  t.match(
    monitorText(checkSettings({ type: 'ping', id: 'ping:x' }), maintenance),
    'ping x [down] Server in maintenance',
  );
  t.end();
});

void t.test('each service has the results of its own servers in its own file', async (t) => {
  const files = new Map<string, string>();
  const monitorFiles = new MonitorFiles({
    stamp: () => '[now] [1]',
    append: (path, text) => {
      files.set(path, (files.get(path) ?? '') + text);
      return Promise.resolve();
    },
    log: (message) => t.fail(message),
  });
  const { monitor, clock, alive } = stage(undefined, undefined, (...result) => {
    monitorFiles.checked(...result);
  });
  alive.add('10.2.0.11');
  const shared = real('10.2.0.11:80');
  const other = { kind: 'address', protocol: 'tcp', address: '10.1.0.100', port: 81 } as const;
  monitor.start(
    configuration([
      virtual([shared, real('10.2.0.12:80')], { monitorfile: '/m/a' }),
      virtual([shared], { monitorfile: '/m/b', service: other }),
    ]),
  );
  await settle();
  const up = `[now] [1] ${shared.check.id.replace(/:+/g, ' ')} [up] -\n`;
  t.equal(files.get('/m/a'), `${up}${up.replace('.11', '.12').replace('[up]', '[down]')}`);
  t.equal(files.get('/m/b'), up);
  await clock.advance(10_000);
  t.equal(files.get('/m/b'), `${up}${up}`);
  await monitor.stop();
});

void t.test('a file that cannot be written is said once, and tried again', async (t) => {
  const log: string[] = [];
  const written: string[] = [];
  let trouble: Error | undefined = new Error('No space left on device');
  const files = new MonitorFiles({
    stamp: () => 'now',
    append: (_, text) => {
      if (trouble !== undefined) return Promise.reject(trouble);
      written.push(text);
      return Promise.resolve();
    },
    log: (message) => void log.push(message),
  });
  const service = virtual([], { monitorfile: '/m/a' });
  const check = checkSettings({ id: 'x' });
  const twice = async (): Promise<void> => {
    for (const result of [well, ill]) {
      files.checked(service, check, result);
      await files.written();
    }
  };
  await twice();
  t.same(log.splice(0), ["Error writing to monitorfile '/m/a': No space left on device"]);
  trouble = undefined;
  await twice();
  t.same(written, ['now x [up] -\n', 'now x [down] -\n'], 'in their order');
  trouble = new Error('again');
  await twice();
  t.match(log, [/again/], 'and is said again when it worked in between');
});

void t.test('a disk that hangs costs lines, not memory', async (t) => {
  const log: string[] = [];
  const pieces: string[] = [];
  let go: (() => void) | undefined;
  const hanging = new Promise<void>((resolve) => (go = resolve));
  const files = new MonitorFiles({
    stamp: () => 'now',
    append: (_, text) => {
      pieces.push(text);
      return hanging;
    },
    log: (message) => void log.push(message),
  });
  const service = virtual([], { monitorfile: '/m/a' });
  for (let i = 0; i < 20_000; i += 1) files.checked(service, checkSettings({ id: 'x' }), well);
  t.same(log, ["Error writing to monitorfile '/m/a': too slow"]);
  go?.();
  await files.written();
  t.equal(pieces.join('').split('\n').length - 1, 10_001, 'what waited is written');
});
