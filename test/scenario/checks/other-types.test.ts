/** Check types that are no conversation with a service: combined, on, off, and programs of the operator's. */
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import t from 'tap';
import { waitFor } from '../../support/until.ts';
import { directord } from '../lab/paths.ts';
import { isAlive } from '../lab/processes.ts';
import { parseListing } from '../lab/listing.ts';
import { directoradm } from '../lab/paths.ts';
import type { Program } from '../lab/program.ts';
import { Place } from './place.ts';
import { probe, type Found } from './row.ts';

/** A server for each, on a port of its own: 127.0.0.1:1 and so on. */
async function probeAll(place: Place, checks: readonly (readonly string[])[]): Promise<readonly Found[]> {
  const { found } = await probe(
    place,
    checks.map((lines, i) => ({ address: '127.0.0.1', port: i + 1, lines })),
  );
  return found;
}

function section(virtual: string, real: string, lines: readonly string[]): string {
  return `virtual=${virtual}\n${[`real=${real} masq`, 'protocol=tcp', ...lines].map((line) => `    ${line}\n`).join('')}`;
}

function program(place: Place, name: string, text: string): string {
  const file = place.write(name, text);
  chmodSync(file, 0o755);
  return file;
}

async function startDaemon(
  place: Place,
  text: string,
): Promise<{ daemon: Program; log: () => string; pool: () => Promise<readonly string[]> }> {
  const file = place.write(
    'ld.cf',
    `checktimeout=2\ncheckinterval=1\nquiescent=no\ncleanstop=yes\nlogfile="${place.directory}/log"\n${text}`,
  );
  const own = [
    'env',
    `DIRECTORD_CONTROL=${place.directory}/control.sock`,
    `DIRECTORD_RUN_DIR=${place.directory}`,
  ];
  const daemon = place.start([...own, directord, '-f', '--engine', 'relay', file, 'start']);
  const list = () => place.run([...own, directoradm, '-L', '-n']);
  await waitFor(
    'directord to answer',
    10,
    async () => (await list()).code === 0,
    () => daemon.stdout + daemon.stderr,
  );
  return {
    daemon,
    log: () => (existsSync(`${place.directory}/log`) ? readFileSync(`${place.directory}/log`, 'utf8') : ''),
    pool: async () =>
      // services are listed in an order that depends on their ports, which are whatever was free
      parseListing((await list()).stdout)
        .flatMap(({ destinations }) => destinations.map(({ endpoint }) => endpoint))
        .sort(),
  };
}

void t.test(
  'external programs: what they are told, and what their end means',
  { timeout: 60_000 },
  async (t) => {
    const place = new Place();
    t.teardown(() => place.close());
    const told = `${place.directory}/told`;
    const shell = (name: string, body: string) => program(place, name, `#!/bin/sh\n${body}\n`);
    const perl = place.write(
      'check.pl',
      `open my $f, '>', '${told}.perl'; print $f join ' ', @ARGV; close $f; exit($ARGV[3] == 6 ? 0 : 3);\n`,
    );
    const commands = [
      shell('good', `echo "$@" >${told}`),
      shell('bad', 'exit 7'),
      shell('killed', 'kill -KILL $$'),
      `${place.directory}/missing`,
      place.write('not-executable', '#!/bin/sh\n'),
    ];
    const results = await probeAll(place, [
      ...commands.map((command) => ['checktype=external', `checkcommand="${command}"`]),
      ['checktype=external-perl', `checkcommand="${perl}"`],
      ['checktype=external-perl', `checkcommand="${place.write('falls-off.pl', 'my $x = 1;\n')}"`],
      ['checktype=external-perl', `checkcommand="${place.write('dies.pl', "die 'no';\n")}"`],
      ['checktype=external-perl', `checkcommand="${place.write('wrong.pl', 'this is no Perl ((\n')}"`],
      ['checktype=external', `checkcommand="${shell('with-words', 'test "$1" = -w')} -w 80"`],
    ]);
    t.match(results, [
      { up: true, detail: 'exit status 0' },
      { up: false, detail: 'exit status 7' },
      { up: false, detail: 'killed by SIGKILL' },
      { up: false, detail: /no such file or directory/i },
      { up: false, detail: /permission denied/i },
      { up: true, detail: 'exit status 0' },
      { up: true, detail: 'exit status 0' },
      { up: false, detail: /exit status [1-9]/ },
      { up: false, detail: /exit status [1-9]/ },
      { up: true, detail: 'exit status 0' },
    ]);
    t.equal(
      readFileSync(told, 'utf8'),
      '10.1.0.100 1 127.0.0.1 1\n',
      'virtual address and port, real address and port',
    );
    t.equal(readFileSync(`${told}.perl`, 'utf8'), '10.1.0.100 6 127.0.0.1 6', 'the same to Perl');
  },
);

void t.test(
  'a program that takes too long is ended with everything that it started',
  { timeout: 60_000 },
  async (t) => {
    const place = new Place();
    t.teardown(() => place.close());
    const pids = `${place.directory}/pids`;
    const sleeper = `echo $$ >>${pids}; sleep 600 & echo $! >>${pids}; wait`;
    const [obeys, ignores] = await probeAll(place, [
      ['checktype=external', `checkcommand="${program(place, 'obeys', `#!/bin/sh\n${sleeper}\n`)}"`],
      [
        'checktype=external',
        `checkcommand="${program(place, 'ignores', `#!/bin/sh\ntrap '' TERM\n${sleeper}\n`)}"`,
      ],
    ]);
    t.match(obeys, { up: false, detail: 'timed out after 2 s' });
    t.match(ignores, { up: false, detail: 'timed out after 2 s' });
    t.ok((obeys?.milliseconds ?? 0) < 2500, 'at once where it obeys');
    t.ok((ignores?.milliseconds ?? 0) < 3500, 'a second later where it does not');
    const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
    t.equal(started.length, 4);
    await waitFor('all of them to be gone', 3, () => !started.some(isAlive));
  },
);

void t.test('external, on and off in a running daemon', { timeout: 60_000 }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const state = place.write('state', '0');
  const check = program(
    place,
    'check',
    `#!/bin/sh\nread status <${state}\n[ $status = slow ] && sleep 600\nexit $status\n`,
  );
  const ports = [await place.freePort(), await place.freePort(), await place.freePort()];
  const texts = [['checktype=external', `checkcommand="${check}"`], ['checktype=on'], ['checktype=off']];
  const { log, pool } = await startDaemon(
    place,
    ports.map((port, i) => section(`127.0.0.1:${port}`, `127.0.0.2:${i + 1}`, texts[i] ?? [])).join(''),
  );
  const [external, on] = ['127.0.0.2:1', '127.0.0.2:2'];
  const untilPool = (...wanted: string[]) =>
    waitFor(
      `the pool to be ${wanted.join(' ')}`,
      10,
      async () => (await pool()).join() === wanted.join(),
      log,
    );
  await untilPool(external, on);
  place.write('state', '3');
  await untilPool(on);
  t.match(log(), /Deleted real server: 127\.0\.0\.2:1/);
  t.match(log(), /exit status 3/, 'the log says why');
  place.write('state', '0');
  await untilPool(external, on);
  place.write('state', 'slow');
  await untilPool(on);
  t.match(
    log(),
    new RegExp(
      `system_timeout\\(2, ${check} 127\\.0\\.0\\.1 ${ports[0] ?? 0} 127\\.0\\.0\\.2 1\\) timed out, kill -TERM child`,
    ),
  );
  place.write('state', '0');
  await untilPool(external, on);
  t.pass('on is always in the table, off never, external while its program says so');
});

void t.test(
  'combined: one question, so many connects, and a question again',
  { timeout: 60_000 },
  async (t) => {
    const place = new Place();
    t.teardown(() => place.close());
    /** `q` for a connection with a request, `c` for one without. */
    let seen = '';
    let answer = 'well\n';
    const server = createServer((socket) => {
      let kind = 'c';
      socket.on('error', () => socket.destroy());
      socket.on('data', () => {
        kind = 'q';
        socket.end(answer);
      });
      socket.on('close', () => (seen += kind));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close());
    const address = server.address();
    const real = `127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
    const { pool, log } = await startDaemon(
      place,
      section(`127.0.0.1:${await place.freePort()}`, real, [
        'checktype=2',
        'service=simpletcp',
        'request="how"',
        'receive="well"',
      ]),
    );
    await waitFor('eight checks', 15, () => seen.length >= 8, log);
    t.match(seen, /^qccqccqc/, 'a question, two connects');
    t.same(await pool(), [real]);
    answer = 'ill\n';
    await waitFor('it to leave', 10, async () => (await pool()).length === 0, log);
    const length = seen.length;
    await waitFor('three more checks', 10, () => seen.length >= length + 3);
    t.match(seen.slice(length), /^qqq/, 'after a bad answer it is asked every time');
    answer = 'well\n';
    await waitFor('it to come back', 10, async () => (await pool()).length === 1, log);
  },
);
