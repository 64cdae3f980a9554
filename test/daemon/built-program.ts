/** The program as it is installed, built from the present sources: running it through a loader takes seconds a start. */
import { spawnSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds below `directory`. @returns path of directord.js */
export function buildProgram(directory: string): string {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const project = ['-p', join(root, 'tsconfig.build.json'), '--noCheck', '--outDir', join(directory, 'dist')];
  const { status, stdout } = spawnSync(process.execPath, [compiler, ...project], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the program could not be built:\n${stdout}`);
  const bundled = spawnSync(join(root, 'packaging/bundle-programs'), [join(directory, 'dist')], {
    encoding: 'utf8',
  });
  if (bundled.status !== 0) throw new Error(`the program could not be bundled:\n${bundled.stderr}`);
  for (const needed of ['package.json', 'node_modules'])
    symlinkSync(join(root, needed), join(directory, needed));
  return join(directory, 'dist/bin/directord.js');
}
