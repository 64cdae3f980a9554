/**
 * Runs the tools of the packet filter (nft, iptables-save, ...): text in, text out, with a limit of time. Unlike the
 * operator's own programs (run-command.ts) their output is wanted, and they end by themselves.
 */
import { spawn, spawnSync } from 'node:child_process';

export interface ToolResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Why it failed, for people: the tool's first error line, or why it could not run; undefined after success. */
  readonly failure: string | undefined;
  /** The tool is not installed. */
  readonly missing: boolean;
}

/** In milliseconds; `iptables -w` waits for another's lock at most half of that. */
const limit = 10_000;
const longestFailure = 300;
const largestOutput = 64 * 1024 * 1024;

/** Root's tools are not in the PATH of everybody who may become root. */
const environment = {
  ...process.env,
  LC_ALL: 'C',
  PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`,
};

/** Never rejects. */
export function runTool(file: string, args: readonly string[], input = ''): Promise<ToolResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { env: environment, timeout: limit, killSignal: 'SIGKILL' });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.on('error', (error) => {
      resolve(notStarted(error));
    });
    child.on('close', (status, killer) => {
      resolve(resultOf(status, killer, Buffer.concat(output).toString(), Buffer.concat(errors).toString()));
    });
    // A tool that ends before it has read everything says why on its standard error.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** The same for an exit handler, which cannot wait. */
export function runToolSync(file: string, args: readonly string[], input = ''): ToolResult {
  const { error, status, signal, stdout, stderr } = spawnSync(file, args, {
    env: environment,
    timeout: limit,
    killSignal: 'SIGKILL',
    maxBuffer: largestOutput,
    encoding: 'utf8',
    input,
  });
  return error === undefined ? resultOf(status, signal, stdout, stderr) : notStarted(error);
}

function notStarted(error: Error): ToolResult {
  const missing = 'code' in error && error.code === 'ENOENT';
  return { stdout: '', stderr: '', failure: missing ? 'not installed' : error.message, missing };
}

function resultOf(
  status: number | null,
  killer: NodeJS.Signals | null,
  stdout: string,
  stderr: string,
): ToolResult {
  if (status === 0) return { stdout, stderr, failure: undefined, missing: false };
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const line = lines.find((text) => /error/i.test(text)) ?? lines[0];
  const how = status === null ? `killed by ${String(killer)}` : `exit status ${status}`;
  return { stdout, stderr, failure: line?.trim().slice(0, longestFailure) ?? how, missing: false };
}
