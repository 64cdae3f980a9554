/** How directoradm says no: ipvsadm's words and exit statuses, which scripts and ldirectord read. */
import type { ControlUnavailable } from '../control/unavailable.ts';
import type { DirectorError, Verb } from '../director/verbs.ts';

/** Where ipvsadm gives up, also in the middle of a restore: mostly arguments that make no sense. */
export class UsageFault extends Error {
  override readonly name = 'UsageFault';
  readonly status: 1 | 2 | 255;

  constructor(status: 1 | 2 | 255, message: string) {
    super(message);
    this.status = status;
  }
}

/** Where ipvsadm goes on with the next line of a restore: the director refused, or an option is not known. */
export class CommandFault extends Error {
  override readonly name = 'CommandFault';
  readonly status = 255;
}

/** There was no command that makes sense. */
export function tryHelp(program: string): UsageFault {
  return new UsageFault(255, `Try \`${program} -h' or '${program} --help' for more information.`);
}

/** No director to speak with: ipvsadm's first words and its second line, and between them what helps here. */
export function cannotInitialize(error: ControlUnavailable): UsageFault {
  const reason =
    error.reason === 'denied'
      ? 'Permission denied (you must be root)'
      : error.reason === 'absent'
        ? `${error.message} (start it with 'directord start', or name its socket with --control)`
        : error.message;
  return new UsageFault(
    2,
    `Can't initialize ipvs: ${reason}\nAre you sure that IP Virtual Server is built in the kernel or as module?`,
  );
}

/** What ipvsadm prints when the kernel refuses this verb with this error. */
export function refusalText(verb: Verb['verb'], error: Pick<DirectorError, 'code' | 'message'>): string {
  switch (error.code) {
    case 'EEXIST':
      if (verb === 'start-daemon') return 'Daemon has already run';
      return verb === 'add-destination' ? 'Destination already exists' : 'Service already exists';
    case 'ENOENT':
      return isAboutDestination(verb) ? 'No such destination' : 'Scheduler or persistence engine not found';
    case 'ESRCH':
      if (verb === 'stop-daemon') return 'No daemon is running';
      return isAboutDestination(verb) ? 'Service not defined' : 'No such service';
    case 'EINVAL':
      return 'Invalid operation.  Possibly wrong module version, address not unicast, ...';
    case 'ERANGE':
      return 'Numerical result out of range';
    case 'ENODEV':
      return 'No such device';
    case 'EAFNOSUPPORT':
      return 'Operation not supported with specified address family';
    case 'EOPNOTSUPP':
      // Never the kernel's: the engine says what it cannot do, and which one can.
      return error.message;
  }
}

function isAboutDestination(verb: Verb['verb']): boolean {
  return verb === 'add-destination' || verb === 'edit-destination' || verb === 'delete-destination';
}
