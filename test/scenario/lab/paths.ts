/** Where things are, whether this file runs as TypeScript under tap or compiled below dist/tools. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = findRoot(dirname(fileURLToPath(import.meta.url)));
export const directord = join(root, 'dist/bin/directord.js');
export const directoradm = join(root, 'dist/bin/directoradm.js');

/** A helper program of test/scenario/programs, as `make` compiled it. */
export function helper(name: string): string {
  return join(root, 'dist/tools/test/scenario/programs', `${name}.js`);
}

/** The path of an installed program, or undefined. */
export function which(program: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package-lock.json'))) return folder;
  return findRoot(dirname(folder));
}
