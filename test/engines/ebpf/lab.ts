/** Tables over real maps of the kernel, small and of this process alone, without packets. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type {
  DestinationId,
  DestinationSettings,
  FwmarkService,
  ServiceId,
  ServiceSettings,
} from '../../../src/director/table.ts';
import type { Verb } from '../../../src/director/verbs.ts';
import type { LoadedDirector, LoadedObject } from '../../../src/engines/ebpf/program.ts';
import { loadDirector } from '../../../src/engines/ebpf/program.ts';
import { EbpfTable } from '../../../src/engines/ebpf/table.ts';
import type { TableSizes } from '../../../src/engines/ebpf/table-sizes.ts';
import { defaultVsSettings } from '../../../src/engines/vs-settings.ts';
import { Pool } from '../../../src/scheduling/pool.ts';
import { masq, roundRobin } from '../../support/table.ts';

const folder = mkdtempSync(join(tmpdir(), 'directord-ebpf-'));
process.on('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});

const headers = join(import.meta.dirname, '../../../src/engines/ebpf/bpf');

export const sizes: TableSizes = {
  services: 16,
  destinations: 64,
  connections: { 4: 64, 6: 64 },
  halfOpen: { 4: 64, 6: 64 },
  templates: { 4: 64, 6: 64 },
};

const mapsSource = `#include "capture.h"
#include "maps.h"
char _license[] SEC("license") = "GPL";
`;

let object: string | undefined;

/** Path of an object that has all maps, and no program that does anything. */
export function mapsObject(): string {
  if (object !== undefined) return object;
  object = join(folder, 'maps.bpf.o');
  const includes = [
    '-I',
    headers,
    `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
  ];
  const options = [
    '-O2',
    '-g',
    '-target',
    'bpf',
    '-mcpu=v3',
    ...includes,
    '-c',
    '-x',
    'c',
    '-',
    '-o',
    object,
  ];
  execFileSync('clang', options, { input: mapsSource });
  return object;
}

export function load(pins?: string): LoadedObject {
  return loadDirector({ sizes, object: mapsObject(), ...(pins !== undefined && { pins }) });
}

/** A daemon's table over these maps. */
export function tableOver(director: LoadedDirector, problems: string[] = []): EbpfTable {
  return new EbpfTable({
    director,
    size: director.sizes,
    settings: defaultVsSettings,
    problem: (message) => problems.push(message),
  });
}

/** Closed in the end. */
export function lab() {
  const director = load();
  t.teardown(() => {
    director.close();
  });
  const problems: string[] = [];
  return { director, problems, table: tableOver(director, problems), pool: new Pool(director.pool, sizes) };
}

export const web6: ServiceId = { kind: 'address', protocol: 'udp', address: '2001:db8:1::100', port: 53 };
export const mark: FwmarkService = { kind: 'fwmark', mark: 0x80000007, family: 'inet' };
export const one: DestinationId = { address: '10.2.0.11', port: 8080 };
export const two: DestinationId = { address: '10.2.0.12', port: 8080 };

export function addService(service: ServiceId, changes: Partial<ServiceSettings> = {}): Verb {
  return { verb: 'add-service', service, settings: { ...roundRobin, ...changes } };
}

export function add(
  service: ServiceId,
  destination: DestinationId,
  changes: Partial<DestinationSettings> = {},
): Verb {
  return { verb: 'add-destination', service, destination, settings: { ...masq, ...changes } };
}

export function remove(service: ServiceId, destination: DestinationId): Verb {
  return { verb: 'delete-destination', service, destination };
}
