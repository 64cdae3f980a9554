/** Starting the daemon in the background, seen from the command that does it. */
import type { Options } from '../cli/directord-arguments.ts';
import type { Invocation, Streams } from '../cli/directord.ts';
import { startDetached } from '../platform/detach.ts';

/** Milliseconds a daemon may take until it is ready: reading names in the configuration may need a slow DNS. */
const patience = 30_000;

/** @returns 0 when the daemon is ready, else the exit code */
export function startInBackground(
  { path, config, options }: Invocation,
  env: Readonly<Record<string, string | undefined>>,
  streams: Streams,
): Promise<number> {
  const own = [
    ...engineOptions(options),
    ...(options.control === undefined ? [] : ['--control', options.control]),
    ...(options.monitor ? [] : ['--no-monitor']),
  ];
  // Cluster agents look for `PROGRAM CONFIG start` in the list of processes, so nothing may stand in between.
  const words = config === undefined ? ['start'] : [config, 'start'];
  const args = words[0]?.startsWith('-') ? [...own, '--', ...words] : [...words, ...own];
  return startDetached({
    nodeOptions: process.execArgv,
    commandLine: [path, ...args],
    env,
    patience,
    said: (text) => {
      streams.err(text);
    },
  });
}

/** As they are typed: what another daemon needs to forward as this one does. */
export function engineOptions(options: Options): readonly string[] {
  return [
    ...(options.engine === 'auto' ? [] : ['--engine', options.engine]),
    ...(options.attach === 'auto' ? [] : ['--attach', options.attach]),
    ...(options.connections === undefined ? [] : ['--connections', String(options.connections)]),
    ...(options.mssClamp ? ['--mss-clamp'] : []),
    ...(options.sysctls.length === 0 ? [] : ['--sysctl', options.sysctls.join(',')]),
  ];
}
