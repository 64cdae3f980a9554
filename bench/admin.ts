/**
 * What the hands and scripts of an administrator wait for: one call of directoradm beside a bare start of Node, and a table of ten
 * thousand services with four real servers each, restored, listed and edited.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ControlClient } from '../src/control/client.ts';
import type { Verb } from '../src/director/verbs.ts';
import { ipipTunnel } from '../src/director/table.ts';
import { Lab } from '../test/scenario/lab.ts';
import { directoradm } from '../test/scenario/lab/paths.ts';
import { bigTable, bigTableRules, realOf, virtualOf } from '../test/support/big-table.ts';
import { columns } from './report.ts';

const { services, serversEach } = bigTable;

interface Cost {
  /** Milliseconds. */
  readonly wall: number;
  readonly cpu: number;
}

export async function admin(rounds: number, engine: 'relay' | 'packet'): Promise<string> {
  const lab = await Lab.open('namespaces', { engine, routing: 'nat' });
  try {
    await lab.startDirectord('--no-monitor', 'start');
    const calls = 20 * rounds;
    const bare = await median(lab, calls, `${process.execPath} -e 0`);
    const call = await median(lab, calls, `${directoradm} -L -n`);
    const file = join(lab.directory, 'table');
    writeFileSync(file, bigTableRules());
    const restored = await once(lab, `${directoradm} -R <${file}`);
    const listed = await median(lab, rounds, `${directoradm} -L -n`);
    const stats = await median(lab, rounds, `${directoradm} -L -n --stats`);
    const one = await median(lab, rounds, `${directoradm} -L -n -t ${virtualOf(7)}:80`);
    const edits = await edit(lab.env['DIRECTORD_CONTROL'] ?? '', 20 * rounds);
    const flushed = await once(lab, `${directoradm} -C`);
    const row = (name: string, { wall, cpu }: Cost) => [name, wall.toFixed(0), cpu.toFixed(0)];
    return [
      `directoradm with the ${engine} engine; medians`,
      columns([
        ['', 'wall ms', 'CPU ms'],
        row('node -e 0', bare),
        row('directoradm -L -n, empty table', call),
        ['  to node -e 0', (call.wall / bare.wall).toFixed(2), (call.cpu / bare.cpu).toFixed(2)],
        row(`-R of ${services} services x ${serversEach}`, restored),
        row('-L -n of them', listed),
        row('-L -n --stats', stats),
        row('-L -n of one', one),
        ['edit of a weight, in force', edits.weight.toFixed(1), ''],
        ['delete and add of a destination, in force', edits.readd.toFixed(1), ''],
        row('-C', flushed),
      ]),
    ].join('\n');
  } finally {
    await lab.close();
  }
}

/** Milliseconds from the verb to its being in force, over a connection that is open already. */
async function edit(socket: string, count: number): Promise<{ weight: number; readd: number }> {
  const client = await ControlClient.connect(socket);
  try {
    const weights: number[] = [];
    const readds: number[] = [];
    for (let i = 0; i < count; i++) {
      const number = (i * 7919) % services;
      const service = { kind: 'address', protocol: 'tcp', address: virtualOf(number), port: 80 } as const;
      const destination = { address: realOf(number, 1), port: 8080 };
      const settings = {
        forwarding: 'masq',
        weight: 2 + i,
        upperThreshold: 0,
        lowerThreshold: 0,
        tunnel: ipipTunnel,
      } as const;
      const inForce = async (...verbs: readonly Verb[]): Promise<number> => {
        const began = performance.now();
        for (const verb of verbs) await client.apply(verb);
        await client.settled();
        return performance.now() - began;
      };
      weights.push(await inForce({ verb: 'edit-destination', service, destination, settings }));
      const removed = await inForce({ verb: 'delete-destination', service, destination });
      readds.push(removed + (await inForce({ verb: 'add-destination', service, destination, settings })));
    }
    return { weight: middle(weights), readd: middle(readds) / 2 };
  } finally {
    client.close();
  }
}

async function median(lab: Lab, count: number, command: string): Promise<Cost> {
  const costs: Cost[] = [];
  for (let i = 0; i < count; i++) costs.push(await once(lab, command));
  return { wall: middle(costs.map(({ wall }) => wall)), cpu: middle(costs.map(({ cpu }) => cpu)) };
}

async function once(lab: Lab, command: string): Promise<Cost> {
  const timed = `TIMEFORMAT='%3R %3U %3S'; time { ${command}; } >/dev/null`;
  const { code, stderr } = await lab.director.run(['bash', '-c', timed], { timeout: 120 });
  const [wall = NaN, user = NaN, system = NaN] = (stderr.trim().split('\n').at(-1) ?? '')
    .split(' ')
    .map(Number);
  if (code !== 0 || Number.isNaN(system)) throw new Error(`${command}: ${stderr}`);
  return { wall: wall * 1000, cpu: (user + system) * 1000 };
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}
