/** Tables over real maps of the kernel, small and of this process alone, without packets. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadedDirector } from '../../../src/engines/ebpf/program.ts';
import { loadDirector } from '../../../src/engines/ebpf/program.ts';
import { EbpfTable } from '../../../src/engines/ebpf/table.ts';
import type { TableSizes } from '../../../src/engines/ebpf/table-sizes.ts';
import { defaultVsSettings } from '../../../src/engines/vs-settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'directord-ebpf-'));
process.on('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});

const headers = join(import.meta.dirname, '../../../src/engines/ebpf/bpf');

export const sizes: TableSizes = {
  services: 16,
  destinations: 32,
  connections: { 4: 64, 6: 64 },
  halfOpen: { 4: 64, 6: 64 },
  templates: { 4: 64, 6: 64 },
};

/** The map of the programs' steps names some. */
const source = `
#include "maps.h"
SEC("tc") int tc_rare(struct __sk_buff *context) { return 0; }
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
  execFileSync('clang', options, { input: source });
  return object;
}

export function load(pins?: string): LoadedDirector {
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
