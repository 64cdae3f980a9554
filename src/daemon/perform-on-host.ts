/** The commands about this host, from arguments to exit code. Never rejects: what was thrown is for people. */
import type { Streams } from '../cli/directord.ts';
import type { HostCommand } from '../cli/host-commands.ts';
import type { User } from './places.ts';

export async function performOnHost(command: HostCommand, streams: Streams, user: User): Promise<number> {
  try {
    if (command.kind === 'realserver') {
      const { realserver } = await import('./realserver/realserver.ts');
      return await realserver(command, streams, user);
    }
    const { doctor } = await import('./doctor/doctor.ts');
    return await doctor(command, streams, user);
  } catch (error) {
    streams.err(`directord: ${(error as Error).message}\n`);
    return 1;
  }
}
