/** Finds and reads the configuration file, and answers the questions about files that a configuration raises. */
import { isUtf8 } from 'node:buffer';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { FileProbes } from './file-probes.ts';
import type { ParseOptions, ParseResult } from './parse.ts';
import { parseConfiguration } from './parse.ts';

const haDirectories = ['/etc/ha.d', '/etc/ha.d/conf'];

/** The first of /etc/ha.d/NAME, /etc/ha.d/conf/NAME and NAME that is a plain file; undefined if none is. */
export function findConfiguration(
  name: string,
  directories: readonly string[] = haDirectories,
): string | undefined {
  const candidates = [...directories.map((directory) => path.join(directory, name)), name];
  return candidates.find((candidate) => existsSync(candidate) && statSync(candidate).isFile());
}

/** Reads and parses one file, and checks that the files it names can be used. */
export async function readConfiguration(
  file: string,
  options: Pick<ParseOptions, 'names' | 'hostname'>,
): Promise<ParseResult> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const message = `can not open file ${file}`;
    return {
      ok: false,
      diagnostics: [
        { severity: 'error', file, message, expected: `a file that can be read (${trouble(error)})` },
      ],
    };
  }
  const text = bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
  return parseConfiguration(text, { ...options, file, probes: systemFileProbes });
}

/** Looks without touching: unlike ldirectord, reading a configuration creates no file. */
const systemFileProbes: FileProbes = {
  appendProblem(file) {
    try {
      if (existsSync(file)) {
        if (statSync(file).isDirectory()) return systemMessages.get('EISDIR');
        accessSync(file, constants.W_OK);
      } else {
        const parent = path.dirname(file);
        if (!statSync(parent).isDirectory()) return systemMessages.get('ENOTDIR');
        accessSync(parent, constants.W_OK | constants.X_OK);
      }
      return undefined;
    } catch (error) {
      return trouble(error);
    }
  },
  isDirectory: (directory) => existsSync(directory) && statSync(directory).isDirectory(),
};

/** The words of strerror(3), which Node has only from version 22 on. */
const systemMessages: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'Permission denied'],
  ['EISDIR', 'Is a directory'],
  ['ENOENT', 'No such file or directory'],
  ['ENOTDIR', 'Not a directory'],
  ['EROFS', 'Read-only file system'],
]);

function trouble(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return systemMessages.get(code) ?? (error instanceof Error ? error.message : String(error));
}
