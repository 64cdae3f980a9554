/**
 * directoradm: argument for argument what ipvsadm does, against a directord behind its control socket. This file is
 * its main path: connect, read the command, do it, print.
 */
import type { ServiceId } from '../director/table.ts';
import { serviceKey } from '../director/table.ts';
import { DirectorError } from '../director/verbs.ts';
import type { Verb } from '../director/verbs.ts';
import type { ControlBackend } from '../control/protocol.ts';
import { ControlUnavailable } from '../control/unavailable.ts';
import type { ConnectionEntry } from '../engines/engine.ts';
import type { Address } from '../util/ip.ts';
import type { NamesSource } from './directoradm-addresses.ts';
import type {
  AboutCommand,
  Command,
  ListRequest,
  RestoreCommand,
  TableCommand,
} from './directoradm-command.ts';
import { parseCommand } from './directoradm-command.ts';
import { cannotInitialize, CommandFault, refusalText, UsageFault } from './directoradm-faults.ts';
import type { Naming } from './directoradm-naming.ts';
import { lookUpNames, numericNaming } from './directoradm-naming.ts';

/** A director that somebody connected to. */
export interface Connection extends ControlBackend {
  close(): void;
}

/** What a call of directoradm has around it. */
export interface DirectoradmContext {
  /** The name it was called by, for messages: `ipvsadm` or `directoradm`. */
  readonly program: string;
  /** Version of this program. */
  version(): string | Promise<string>;
  readonly names: NamesSource;
  /** @param control socket, if one was named @throws ControlUnavailable */
  connect(control: string | undefined): Promise<Connection>;
  out(text: string): void;
  err(text: string): void;
  /** Standard input, in pieces. */
  input(): AsyncIterable<string>;
}

/** Runs one command line (without the program's name). @returns the exit status */
export async function directoradm(words: readonly string[], context: DirectoradmContext): Promise<number> {
  try {
    const command = await parse(words, context);
    if (command.command === 'help' || command.command === 'version') return await about(command, context);
    const director = await connect(command.control, context);
    try {
      return await run(command, director, context);
    } finally {
      director.close();
    }
  } catch (error) {
    return reportFault(error, context);
  }
}

/** Prints what ended a command. @returns the exit status @throws whatever is no fault of this program's kind */
export function reportFault(error: unknown, context: Pick<DirectoradmContext, 'err'>): number {
  const fault = error instanceof ControlUnavailable ? new CommandFault(error.message) : error;
  if (!(fault instanceof UsageFault) && !(fault instanceof CommandFault)) throw error;
  context.err(`${fault.message}\n`);
  return fault.status;
}

async function parse(words: readonly string[], context: DirectoradmContext): Promise<Command> {
  try {
    return await parseCommand(words, context.program, context.names);
  } catch (error) {
    await checkPermission(undefined, context);
    throw error;
  }
}

/** Help and version. */
async function about(command: AboutCommand, context: DirectoradmContext): Promise<number> {
  await checkPermission(command.control, context);
  context.out(await aboutText(command, context));
  return 0;
}

/** What `-h` and `-v` print. */
export async function aboutText(command: AboutCommand, context: DirectoradmContext): Promise<string> {
  const { helpText, versionText } = await import('./directoradm-help.ts');
  const own = context.program !== 'ipvsadm';
  if (command.command === 'help') return helpText(context.program, own);
  return versionText(own ? await context.version() : undefined);
}

/** ipvsadm wants its kernel, and with it root, before it looks at its arguments; that much is kept under its name. */
async function checkPermission(control: string | undefined, context: DirectoradmContext): Promise<void> {
  if (context.program !== 'ipvsadm') return;
  try {
    (await context.connect(control)).close();
  } catch (error) {
    if (!(error instanceof ControlUnavailable)) throw error;
    if (error.reason === 'denied') throw cannotInitialize(error);
  }
}

async function connect(control: string | undefined, context: DirectoradmContext): Promise<Connection> {
  try {
    return await context.connect(control);
  } catch (error) {
    throw error instanceof ControlUnavailable ? cannotInitialize(error) : error;
  }
}

async function run(
  command: TableCommand | RestoreCommand,
  director: ControlBackend,
  context: DirectoradmContext,
): Promise<number> {
  if (command.command === 'restore') {
    const { restore } = await import('./directoradm-restore.ts');
    const status = await restore(director, context);
    await director.settled();
    return status;
  }
  context.out(await execute(command, director, context));
  // A script may connect as soon as we are gone.
  if (command.command === 'apply') await director.settled();
  return 0;
}

/** Does one command with the director. @returns what to print @throws CommandFault, UsageFault */
export async function execute(
  command: TableCommand,
  director: ControlBackend,
  context: DirectoradmContext,
): Promise<string> {
  switch (command.command) {
    case 'apply':
      await apply(command.verb, director);
      return '';
    case 'list':
      return list(command.list, director, context);
    case 'save': {
      const { formatSave } = await import('./directoradm-save.ts');
      const { sortListing } = await import('../observe/listing-order.ts');
      const services = sortListing(await director.list());
      return formatSave(services, await naming(command.numeric, addressesOf(services), context));
    }
    case 'proc': {
      const { writeProc } = await import('../observe/proc-text.ts');
      await writeProc(command.name, director, (piece) => {
        context.out(piece);
      });
      return '';
    }
  }
}

async function apply(verb: Verb, director: ControlBackend): Promise<void> {
  try {
    await director.apply(verb);
  } catch (error) {
    if (error instanceof DirectorError) throw new CommandFault(refusalText(verb.verb, error));
    throw error;
  }
}

async function list(
  request: ListRequest,
  director: ControlBackend,
  context: DirectoradmContext,
): Promise<string> {
  if (request.what === 'services') return listServices(request, director, context);
  const { connectionsTitle, formatConnections, formatSyncDaemons, formatTables, formatTimeouts } =
    await import('./directoradm-connections.ts');
  switch (request.what) {
    case 'connections': {
      if (request.json) return json(await allConnections(director));
      const withEngine = request.format === 'persistent-conn';
      context.out(connectionsTitle(withEngine));
      await director.connections(async (part) => {
        const addresses = part.flatMap((entry) => [entry.client, entry.virtual, entry.destination]);
        context.out(formatConnections(part, await naming(request.numeric, addresses, context), withEngine));
      });
      return '';
    }
    case 'tables': {
      const tables = await director.tables();
      return request.json ? json(tables) : formatTables(tables);
    }
    case 'timeouts': {
      const timeouts = await director.timeouts();
      return request.json ? json(timeouts) : formatTimeouts(timeouts);
    }
    case 'sync-daemons': {
      const daemons = await director.syncDaemons();
      return request.json ? json(daemons) : formatSyncDaemons(daemons);
    }
  }
}

async function allConnections(director: ControlBackend): Promise<readonly ConnectionEntry[]> {
  const all: ConnectionEntry[] = [];
  await director.connections((part) => {
    all.push(...part);
  });
  return all;
}

async function listServices(
  request: ListRequest,
  director: ControlBackend,
  context: DirectoradmContext,
): Promise<string> {
  const { formatListing, versionLine } = await import('./directoradm-listing.ts');
  const { kernelOrder, sortListing } = await import('../observe/listing-order.ts');
  const found = await director.list(request.service);
  if (request.service !== undefined && !found.some(({ id }) => isSame(id, request.service))) {
    throw new UsageFault(1, 'No such service');
  }
  const services = request.sort ? sortListing(found) : kernelOrder(found);
  if (request.json) return json(services);
  const listing = formatListing(services, {
    format: request.format,
    exact: request.exact,
    naming: await naming(request.numeric, addressesOf(services), context),
  });
  return request.service === undefined ? `${versionLine}\n${listing}` : listing;
}

function isSame(id: ServiceId, other: ServiceId | undefined): boolean {
  return other !== undefined && serviceKey(id) === serviceKey(other);
}

interface WithAddresses {
  readonly id: ServiceId;
  readonly destinations: readonly { readonly id: { readonly address: Address } }[];
}

function addressesOf(services: readonly WithAddresses[]): readonly Address[] {
  return services.flatMap(({ id, destinations }) => [
    ...(id.kind === 'address' ? [id.address] : []),
    ...destinations.map((destination) => destination.id.address),
  ]);
}

async function naming(
  numeric: boolean,
  addresses: readonly Address[],
  context: DirectoradmContext,
): Promise<Naming> {
  if (numeric || addresses.length === 0) return numericNaming;
  return lookUpNames(addresses, await context.names());
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
