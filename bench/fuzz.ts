/**
 * The packet engine against hostile packets, at length: ten million made by the fuzzer of the unit tests, then floods of five million
 * packets from distinct sources against ten thousand established connections, each in a process of its own.
 * `node fuzz.js`, or with a part, and with another number of packets: `node fuzz.js hostile 1000000`, `node fuzz.js syn`.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { FloodLab, floodKinds } from '../test/support/fuzz/flood.ts';
import type { FloodKind } from '../test/support/fuzz/flood.ts';
import { Fuzzer } from '../test/support/fuzz/fuzzer.ts';
import { memory } from '../test/support/fuzz/memory.ts';

const HOSTILE = 10_000_000;
const FLOOD = 5_000_000;
const ESTABLISHED = 10_000;
/** As the forwarding process has them. */
const limits = { limit: 2 ** 22, halfOpen: 2 ** 17, capacity: 2 ** 20 };
/** Packets a second on the engine's clock: more than it can take. */
const RATE = 250_000;
const PIECES = 10;

const [part, packets] = process.argv.slice(2);
if (part === 'hostile') hostile(Number(packets ?? HOSTILE));
else if (isFlood(part)) flood(part, Number(packets ?? FLOOD));
else {
  for (const each of ['hostile', ...floodKinds]) {
    const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), each], {
      stdio: 'inherit',
    });
    if (status !== 0) process.exitCode = 1;
  }
}

function isFlood(name: string | undefined): name is FloodKind {
  return (floodKinds as readonly (string | undefined)[]).includes(name);
}

function hostile(wanted: number): void {
  const fuzzer = new Fuzzer(1);
  for (let piece = 1; piece <= PIECES && fuzzer.faults.length === 0; piece++) {
    fuzzer.run(wanted / PIECES);
    const { sent, dropped, changes } = fuzzer.totals;
    print(
      `hostile  ${fuzzer.totals.packets} packets, ${sent} sent, ${dropped} dropped, ${changes} changes of the table; ${residentMemory()}`,
    );
  }
  fuzzer.end();
  for (const fault of fuzzer.faults) print(`FAULT  ${fault}`);
  if (fuzzer.faults.length > 0) process.exitCode = 1;
}

function flood(kind: FloodKind, count: number): void {
  const lab = new FloodLab({ packets: count, established: ESTABLISHED, rate: RATE, ...limits });
  const before = residentMemory();
  const outcome = lab.run(kind);
  const { alive, connections, halfOpen, templates, nanoseconds, tableBytes, newClient } = outcome;
  print(
    `${kind.padEnd(15)} ${count} packets, ${Math.round(nanoseconds)} ns each; ${alive} of ${ESTABLISHED} connections carry on, ` +
      `a new client ${newClient ? 'gets through' : 'is refused'}; ${connections} connections (${halfOpen} half-open), ${templates} templates, ` +
      `tables ${megabytes(tableBytes)}; before: ${before}, after: ${residentMemory()}`,
  );
  if (alive < ESTABLISHED) process.exitCode = 1;
}

/** `rss` is what the kernel counts; in use is what is not garbage. */
function residentMemory(): string {
  const used = memory();
  return `${megabytes(used)} in use, rss ${megabytes(process.memoryUsage().rss)}`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
