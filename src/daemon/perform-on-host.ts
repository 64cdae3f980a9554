/** The commands about this host, from arguments to exit code. Never rejects: what was thrown is for people. */
import type { Streams } from '../cli/directord.ts';
import type { HostCommand } from '../cli/host-commands.ts';
import type { User } from './places.ts';

export async function performOnHost(command: HostCommand, streams: Streams, user: User): Promise<number> {
  try {
    switch (command.kind) {
      case 'realserver': {
        const { realserver } = await import('./realserver/realserver.ts');
        return await realserver(command, streams, user);
      }
      case 'doctor': {
        const { doctor } = await import('./doctor/doctor.ts');
        return await doctor(command, streams, user);
      }
      case 'capture': {
        const { capture } = await import('./seeing/capture.ts');
        const { StandardOutput } = await import('../platform/standard-output.ts');
        return await capture(command, { streams, user, output: new StandardOutput(), end: endSignal() });
      }
      case 'simulate': {
        const { simulate } = await import('./seeing/simulate.ts');
        return simulate(command, streams, user);
      }
    }
  } catch (error) {
    streams.err(`directord: ${(error as Error).message}\n`);
    return 1;
  }
}

/** Of whoever wants the command to end. */
function endSignal(): AbortSignal {
  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      end.abort();
    });
  return end.signal;
}
