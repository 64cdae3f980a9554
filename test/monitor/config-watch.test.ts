import t from 'tap';
import { ConfigWatch } from '../../src/monitor/config-watch.ts';
import { FakeClock } from './fake-clock.ts';

void t.test('a changed content is announced, a touch is not', async (t) => {
  const clock = new FakeClock();
  const news: string[] = [];
  let file: { time: number; content: string } | undefined = { time: 1, content: 'a' };
  let autoreload = false;
  let reads = 0;
  const present = () => (file === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(file));
  const watch = new ConfigWatch({
    clock,
    file: '/run/ld.cf',
    interval: () => 10,
    autoreload: () => autoreload,
    modified: () => present().then(({ time }) => time),
    read: () => {
      reads += 1;
      return present().then(({ content }) => content);
    },
    log: (message) => news.push(message),
    changed: (reread) => news.push(`changed(${reread})`),
  });
  watch.start();
  await clock.advance(30_000);
  t.same(news, [], 'the first look only records');
  t.equal(reads, 1, 'no time stamp moved, no reading');

  file = { time: 2, content: 'a' };
  await clock.advance(10_000);
  t.same(news, [], 'a touch');

  file = { time: 3, content: 'b' };
  await clock.advance(20_000);
  t.same(news.splice(0), [
    "Configuration file '/run/ld.cf' has changed on disk",
    ' - ignore new configuration',
    'changed(false)',
  ]);

  file = undefined;
  await clock.advance(30_000);
  t.same(news.splice(0), ["Configuration file '/run/ld.cf': Error: ENOENT"], 'said once');

  autoreload = true;
  file = { time: 4, content: 'c' };
  await clock.advance(10_000);
  t.same(news.splice(0), [
    "Configuration file '/run/ld.cf' has changed on disk",
    ' - reread new configuration',
    'changed(true)',
  ]);

  watch.stop();
  t.equal(clock.timers, 0);
});
