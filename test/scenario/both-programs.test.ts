/**
 * Two programs, one file: Debian's ldirectord, with our directoradm as its ipvsadm, and directord itself go through the same life with the
 * same configuration, unchanged, and after every step both tables are the same to the byte.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { configurations } from '../monitor/recorded-configurations.ts';
import { Lab, skipReason, waitFor } from './lab.ts';
import type { Program } from './lab.ts';
import { directord, root } from './lab/paths.ts';
import { RealLdirectord, whyNoLdirectord } from './lab/real-ldirectord.ts';

t.setTimeout(600_000);

const file = '/run/ld.cf';
const debianExample = '/usr/share/doc/ldirectord/examples/ldirectord.cf';

interface Life {
  readonly name: string;
  readonly config: string;
  /** Where rs1, rs2 and rs3 serve `page`. */
  readonly addresses: readonly string[];
  readonly page: readonly [name: string, text: string];
  /** Of a line for rs1 with another weight; without it nothing is changed, which takes long where rounds of checks do. */
  readonly heavier?: readonly [from: string, to: string];
}

const lives: readonly Life[] = [
  {
    name: "the example of Debian's package",
    config: readFileSync(debianExample, 'utf8'),
    addresses: ['192.168.6.2', '192.168.6.3', '192.168.6.6'],
    page: ['index.html', 'Test Page'],
    heavier: ['real=192.168.6.2:80 gate', 'real=192.168.6.2:80 gate 5'],
  },
  {
    name: 'the configuration of a recording',
    config: configurations['basic']?.[0] ?? '',
    addresses: ['10.2.0.11', '10.2.0.12', '10.2.0.13'],
    page: ['index.html', 'Test Page'],
    heavier: ['real=10.2.0.11:80 gate', 'real=10.2.0.11:80 gate 5'],
  },
  {
    name: 'our own example',
    config: readFileSync(join(root, 'ldirectord.cf.example'), 'utf8'),
    addresses: ['10.2.0.11', '10.2.0.12', '10.2.0.13'],
    page: ['test.html', 'OK'],
  },
];

/** One of the two programs, on the director of a lab of its own. */
interface Contender {
  start(): Promise<void>;
  reload(config: string): Promise<void>;
  stop(): Promise<void>;
  /** Whoever keeps the table when the program has ended. */
  table(): Promise<string>;
}

for (const life of lives) {
  const skip = skipReason === false ? whyNoLdirectord() : skipReason;
  void t.test(life.name, { skip, timeout: 0, buffered: true }, async (t) => {
    const [theirs, ours] = await Promise.all([live(life, withLdirectord), live(life, withDirectord)]);
    t.same([...ours.keys()], [...theirs.keys()]);
    for (const [step, table] of ours) t.equal(table, theirs.get(step), step);
  });
}

/** @returns what `-L -n` says after every step */
async function live(
  life: Life,
  contender: (lab: Lab, life: Life) => Promise<Contender>,
): Promise<ReadonlyMap<string, string>> {
  const lab = await Lab.open('namespaces', { engine: 'ebpf' });
  try {
    const servers = await Promise.all(lab.servers.map((_, i) => standIn(lab, i, life)));
    const program = await contender(lab, life);
    const tables = new Map<string, string>();
    const [rs1 = '', ...others] = life.addresses.map((address) => `${address}:80`);
    const used = others.filter((other) => life.config.includes(other) || life.config.includes('10.2.0.13'));
    const seen = async (step: string, wanted: (weights: ReadonlyMap<string, number>) => boolean) => {
      const table = await waitFor(
        step,
        90,
        async () => {
          const listing = await program.table();
          return wanted(weightsIn(listing)) ? { listing } : undefined;
        },
        async () => `${life.name}: ${await program.table()}`,
      );
      tables.set(step, table.listing);
    };
    const allAre = (weight: number) => (weights: ReadonlyMap<string, number>) =>
      weights.get(rs1) === weight && used.every((other) => weights.has(other));

    await program.start();
    await seen('started', allAre(1));
    await servers[0]?.end();
    await seen('rs1 is dead', (weights) => !weights.has(rs1));
    if (life.heavier !== undefined) {
      await Promise.all(servers.map((server) => server.end()));
      await seen('all are dead', (weights) => !weights.has(rs1) && weights.has('127.0.0.1:80'));
      await Promise.all(servers.map((server) => server.begin()));
      await seen('all are back', (weights) => allAre(1)(weights) && !weights.has('127.0.0.1:80'));
      const heavier = life.config.replace(...life.heavier);
      await program.reload(heavier);
      await seen('reloaded with another weight', allAre(5));
      await program.reload(`${withoutCleanstop(heavier)}\n`.replace(/^(?=checkinterval)/m, 'cleanstop=no\n'));
      await program.stop();
      await seen('stopped with cleanstop=no', allAre(5));
      await program.start();
      await seen('started again', allAre(5));
      await program.reload(life.config);
      await seen('reloaded with the first weight', allAre(1));
    }
    await program.stop();
    await seen('stopped with cleanstop=yes', (weights) => weights.size === 0);
    return tables;
  } finally {
    await lab.close();
  }
}

function withoutCleanstop(config: string): string {
  return config.replace(/^cleanstop=.*\n/gm, '');
}

/** Weights of the servers of the service on port 80. */
function weightsIn(listing: string): ReadonlyMap<string, number> {
  const [, service = ''] = /^TCP +\S+:80 .*\n((?: .*\n)*)/m.exec(listing) ?? [];
  return new Map(
    [...service.matchAll(/-> (\S+) +\S+ +(\d+)/g)].map(([, name = '', weight]) => [name, Number(weight)]),
  );
}

async function withLdirectord(lab: Lab, { config }: Life): Promise<Contender> {
  const ldirectord = new RealLdirectord(lab, 'symlink');
  await lab.startDirectord('--no-monitor', 'start');
  ldirectord.write('ld.cf', config);
  return {
    start: async () => {
      await ldirectord.run(file, 'start');
      await ldirectord.untilItSleeps();
    },
    reload: async (changed) => {
      await ldirectord.untilItSleeps();
      ldirectord.write('ld.cf', changed);
      await ldirectord.run(file, 'reload');
      await ldirectord.untilItHasChecked();
    },
    stop: async () => {
      await ldirectord.run(file, 'stop');
      await ldirectord.untilItEnded();
    },
    table: async () => (await lab.adm('-L', '-n')).stdout,
  };
}

const enter =
  'place=$1; shift; mount --bind "$place/run" /run && mount --bind "$place/log" /var/log && exec "$@"';

/** Among mounts of its own too, for the paths in its configuration. */
function withDirectord(lab: Lab, { config }: Life): Promise<Contender> {
  const ldirectord = new RealLdirectord(lab, 'symlink');
  ldirectord.write('ld.cf', config);
  const place = join(lab.directory, 'ldirectord');
  const command = (...args: readonly string[]) => [
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', enter, 'sh', place],
    ...[directord, ...args],
  ];
  let program: Program | undefined;
  const begin = async (...args: readonly string[]) => {
    const begun = lab.director.start(command('-f', '--engine', lab.engine, ...args));
    program = begun;
    await waitFor('directord to answer', 10, async () => {
      if (begun.finished !== undefined) throw new Error(`${begun.stdout}${begun.stderr}`);
      return (await lab.adm('-L', '-n')).code === 0;
    });
  };
  const end = async () => {
    program?.kill('SIGTERM');
    await program?.exited;
  };
  return Promise.resolve({
    start: async () => {
      await end();
      await begin(file, 'start');
    },
    reload: async (changed) => {
      ldirectord.write('ld.cf', changed);
      await lab.director.run(command(file, 'reload'));
    },
    stop: async () => {
      await lab.director.run(command(file, 'stop'));
      await program?.exited;
      // The table is in the kernel; somebody must be there to ask.
      await begin('--no-monitor', 'start');
    },
    table: async () => (await lab.adm('-L', '-n')).stdout,
  });
}

interface StandIn {
  begin(): Promise<void>;
  end(): Promise<void>;
}

const serve = `
const [address, name, text] = process.argv.slice(1);
require('node:http').createServer((request, response) => {
  response.statusCode = request.url === '/' + name ? 200 : 404;
  response.end(text + '\\n');
}).listen(80, address, () => console.log('ready'));
`;

/** A web server where the configuration wants one, in place of the lab's own. */
async function standIn(lab: Lab, index: number, { addresses, page }: Life): Promise<StandIn> {
  const web = lab.servers[index];
  const address = addresses[index];
  if (web === undefined || address === undefined) throw new Error(`no server ${index}`);
  await web.kill();
  if (address.startsWith('192.168.')) {
    await web.host.run(['ip', 'address', 'add', `${address}/24`, 'dev', 'eth0']);
    await lab.director.run(['ip', 'address', 'replace', '192.168.6.1/24', 'dev', 'back']);
  }
  let program: Program | undefined;
  const server: StandIn = {
    begin: async () => {
      const begun = web.host.start([process.execPath, '-e', serve, address, ...page]);
      program = begun;
      await waitFor('the server', 20, () => begun.lines().includes('ready'));
    },
    end: async () => {
      program?.kill('SIGKILL');
      await program?.exited;
    },
  };
  await server.begin();
  return server;
}
