/** A directord as a package of the next version would bring it, for a lab: all is the same but the compiled BPF programs. */
import { appendFileSync, cpSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import { root } from './lab/paths.ts';

/** @returns path of the program */
export function makeUpgraded(lab: Lab): string {
  const folder = join(lab.directory, 'upgraded');
  const tools = join(root, 'dist/tools');
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true, filter: (path) => path !== tools });
  for (const name of ['node_modules', 'package.json']) symlinkSync(join(root, name), join(folder, name));
  appendFileSync(join(folder, 'dist/engines/ebpf/directord.bpf.o'), 'upgraded');
  return join(folder, 'dist/bin/directord.js');
}
