/** The mounted files under programs that people read files with. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { mountTextFiles } from '../../src/platform/text-files.ts';
import { detachMountsBelow, mountsBelow } from '../support/mounts.ts';
import { until } from '../support/until.ts';

const skip = whyNot();
const directory = mkdtempSync(join(tmpdir(), 'directord-files-'));
const place = join(directory, 'proc');

t.teardown(() => {
  detachMountsBelow(directory);
  rmSync(directory, { recursive: true });
});

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync('/dev/fuse') ? false : 'needs /dev/fuse';
}

interface Seen {
  readonly code: number | string | null;
  readonly out: string;
  readonly err: string;
}

/** This process is the one that answers: it must not wait for the reader. */
function sh(command: string): Promise<Seen> {
  const options = { cwd: directory, env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 1 << 28 };
  return new Promise((resolve) => {
    execFile('bash', ['-c', command], options, (error, out, err) => {
      resolve({ code: error === null ? 0 : (error.code ?? null), out, err });
    });
  });
}

const line = 'TCP 0A010002 C350 0A010064 0050 0A02000B 0050 ESTABLISHED     899\n';
const piece = line.repeat(1000);
/** What a million connections would be. */
const pieces = 1000;

/** Where each text that was begun ended: at its end, or because nobody read it. */
const ends: string[] = [];

async function writeMuch(write: (piece: string) => Promise<void>): Promise<void> {
  let count = 0;
  try {
    for (; count < pieces; count++) await write(piece);
    ends.push('end');
  } catch (error) {
    ends.push(`after ${count} pieces: ${(error as Error).message}`);
    throw error;
  }
}

void t.test('readers', { skip }, async (t) => {
  const problems: string[] = [];
  let opened = 0;
  const files = [
    { path: 'net/small', produce: (write: (text: string) => Promise<void>) => write(`small ${++opened}\n`) },
    { path: 'net/much', produce: writeMuch },
    { path: 'net/failing', produce: () => Promise.reject(new Error('nobody knows')) },
    {
      path: 'net/stuck',
      produce: async (write: (text: string) => Promise<void>) => {
        await write('begun\n');
        await new Promise(() => undefined);
      },
    },
  ];
  const mounted = mountTextFiles(place, files, (message) => problems.push(message));
  t.teardown(() => {
    mounted.unmount();
  });

  t.same(await sh('cat proc/net/small; cat proc/net/small'), { code: 0, out: 'small 1\nsmall 2\n', err: '' });
  t.match(await sh('ls -l proc/net/small'), { out: /^-r--r--r-- 1 root root 0 / });
  t.match(await sh('find proc | sort | tr "\\n" " "'), {
    out: 'proc proc/net proc/net/failing proc/net/much proc/net/small proc/net/stuck ',
  });
  t.match(await sh('echo x >proc/net/small'), { code: 1, err: /Read-only file system/ });
  t.match(await sh('touch proc/new'), { code: 1, err: /Read-only file system/ });
  t.match(await sh('cat proc/none'), { code: 1, err: /No such file or directory/ });

  await t.test('much, to two at once, and with bounded memory', async (t) => {
    ends.length = 0;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 5);
    const before = process.memoryUsage().rss;
    const began = performance.now();
    const all = await Promise.all([1, 2].map(() => sh('cat proc/net/much | tee >(wc -lc >&2) | sort -u')));
    const seconds = (performance.now() - began) / 1000;
    clearInterval(watch);
    for (const { out, err } of all) {
      t.equal(out, line, 'every line is whole');
      t.same(err.trim().split(/\s+/).map(Number), [pieces * 1000, pieces * piece.length]);
    }
    t.same(ends, ['end', 'end']);
    const megabytes = Math.round((pieces * piece.length) / 1e6);
    const grown = (most - before) / 1e6;
    t.comment(`2 x ${megabytes} MB in ${seconds.toFixed(1)} s, memory grew by ${Math.round(grown)} MB`);
    t.ok(grown < megabytes, 'the texts are never all in memory');
  });

  await t.test('a reader that had enough', async (t) => {
    ends.length = 0;
    t.same(await sh('head -n 1 proc/net/much'), { code: 0, out: line, err: '' });
    await until(() => ends.length === 1);
    t.match(ends[0], /^after \d pieces: the reader went away$|^after 1\d pieces/);
    t.same(
      await sh('(head -n 1; head -n 1 | cut -c 1-12) <proc/net/much'),
      { code: 0, out: `${line}${line.slice(0, 12)}\n`, err: '' },
      'what it gave back the next one reads',
    );
  });

  await t.test('a reader that dies, or gets a signal, while it waits', async (t) => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const reader = spawn('cat', ['proc/net/stuck'], { cwd: directory, stdio: 'ignore' });
      await pause(100);
      const began = performance.now();
      reader.kill(signal);
      t.same(await once(reader, 'close'), [null, signal]);
      t.ok(performance.now() - began < 1000, 'is gone at once');
    }
  });

  t.match(await sh('cat proc/net/failing'), { code: 1, out: '', err: /Input\/output error/ });
  t.same(problems, ['net/failing: nobody knows']);

  await t.test('what is in the way', (t) => {
    // asked by another process, which this one does not answer meanwhile
    t.throws(() => mountTextFiles(place, [], () => undefined), {
      message: /proc is in use: it belongs to another/,
    });
    mkdirSync(join(directory, 'full'));
    writeFileSync(join(directory, 'full/file'), '');
    t.throws(() => mountTextFiles(join(directory, 'full'), [], () => undefined), {
      message: /full is in use: it is there and no empty directory of root's$/,
    });
    t.throws(() => mountTextFiles('/proc', [], () => undefined), { message: /a proc is mounted there$/ });
    t.end();
  });

  const other = [{ path: 'a', produce: (write: (text: string) => Promise<void>) => write('b') }];
  const second = mountTextFiles(join(directory, 'second'), other, (message) => problems.push(message));
  t.match(await sh('cat second/a proc/net/small'), { out: /^bsmall/ }, 'two mounts share the signal');
  second.unmount();
  t.match(await sh('cat proc/net/small'), { out: /^small/ }, 'and one is left');

  const late = sh('cat proc/net/stuck');
  await pause(100);
  mounted.unmount();
  t.match(await late, { code: 1 }, 'who still reads is told');
  t.same(mountsBelow(directory), []);
  t.notOk(existsSync(place), 'the directory is gone too');
  t.equal(process.listenerCount('SIGURG'), 0);
  mounted.unmount();
});

void t.test('unmounted by the administrator', { skip }, async (t) => {
  const problems: string[] = [];
  mountTextFiles(place, [], (message) => problems.push(message));
  t.match(await sh('umount proc'), { code: 0 });
  await until(() => problems.length > 0);
  t.same(problems, [`${place} is no longer served: somebody unmounted it`]);
  t.notOk(existsSync(place));
  await turn();
  t.equal(process.listenerCount('SIGURG'), 0);
});
