/**
 * One virtual service in the director's table, as the monitor works on it: look, change only what differs, and say in
 * ldirectord's words what was done. A refusal by the director is logged with its context and reported as `false`.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Virtual } from '../config/model.ts';
import type { Destination, DestinationId } from '../director/table.ts';
import { destinationKey } from '../director/table.ts';
import type { DirectorVerbs, Verb } from '../director/verbs.ts';
import { DirectorError } from '../director/verbs.ts';
import type { Server } from './server.ts';
import { isSameDestination, mappedName } from './server.ts';

export interface TableParts {
  readonly director: DirectorVerbs;
  log(message: string): void;
  /** A server of the service was changed, and that is what may be mailed. */
  changed(virtual: Virtual, text: string): void;
}

export class ServiceTable {
  readonly #parts: TableParts;
  readonly #virtual: Virtual;

  constructor(parts: TableParts, virtual: Virtual) {
    this.#parts = parts;
    this.#virtual = virtual;
  }

  /** Adds the service, or edits it where it differs from the configuration. */
  putService(): void {
    const { service, settings, label } = this.#virtual;
    const present = this.#parts.director.find(service);
    if (present === undefined) {
      this.#apply({ verb: 'add-service', service, settings }, `Added virtual server: ${label}`);
    } else if (!isDeepStrictEqual(present.settings, settings)) {
      this.#apply({ verb: 'edit-service', service, settings }, `Changed virtual server: ${label}`);
    }
  }

  /** Deletes the service with all its destinations, if it is there. */
  purgeService(when: 'start' | 'stop'): void {
    const { service, label } = this.#virtual;
    if (this.#parts.director.find(service) === undefined) return;
    this.#apply({ verb: 'delete-service', service }, `Purged virtual server (${when}): ${label}`);
  }

  destinations(): readonly Destination[] {
    return this.#parts.director.find(this.#virtual.service)?.destinations ?? [];
  }

  find(id: DestinationId): Destination | undefined {
    return this.destinations().find((destination) => isSameDestination(destination.id, id));
  }

  /** Adds the server, or edits it where it differs. True when the table holds it afterwards. */
  put(server: Server): boolean {
    const present = this.find(server.id);
    if (present === undefined) return this.#add(server, 'Added');
    if (differs(present, server))
      return this.#edit(server, `Restored ${this.#sentence(server, server.name)}`);
    return true;
  }

  /** Keeps the server in the table for its old connections only. Thresholds stay as configured. */
  quiesce(server: Server): void {
    const present = this.find(server.id);
    if (present === undefined) return;
    const idle = idleServer(server);
    if (present.weight === 0 && present.forwarding === server.settings.forwarding) return;
    this.#edit(idle, `Quiescent ${this.#sentence(idle, mappedName(idle))}`);
  }

  /** Adds the server with weight 0, if it is missing. */
  addQuiescent(server: Server, verb: 'Added' | 'Readd Quiescent'): void {
    if (this.find(server.id) === undefined) this.#add(idleServer(server), verb);
  }

  /** Deletes the server, if it is there. */
  remove(server: Server): void {
    if (this.find(server.id) === undefined) return;
    this.#delete(server.id, `Deleted ${server.kind} server: ${mappedName(server)} (${this.#virtual.label})`);
  }

  /** Deletes a destination the configuration does not know (start), or one it takes along (stop), if it is there. */
  purge(id: DestinationId, when: 'start' | 'stop', name = destinationKey(id)): void {
    if (this.find(id) === undefined) return;
    this.#delete(id, `Purged real server (${when}): ${name} (${this.#virtual.label})`);
  }

  #add(server: Server, verb: 'Added' | 'Readd Quiescent'): boolean {
    const { service } = this.#virtual;
    const sentence = this.#sentence(server, server.name);
    return this.#change(
      { verb: 'add-destination', service, destination: server.id, settings: server.settings },
      `${verb} ${sentence}`,
      `${verb === 'Added' ? verb : 'Quiescent'} ${sentence}`,
    );
  }

  #edit(server: Server, done: string): boolean {
    const { service } = this.#virtual;
    return this.#change(
      { verb: 'edit-destination', service, destination: server.id, settings: server.settings },
      done,
    );
  }

  #delete(destination: DestinationId, done: string): void {
    this.#change({ verb: 'delete-destination', service: this.#virtual.service, destination }, done);
  }

  #sentence(server: Server, name: string): string {
    return `${server.kind} server: ${name} (${this.#virtual.label}) (Weight set to ${server.settings.weight})`;
  }

  #change(verb: Verb, done: string, mailed = done): boolean {
    const applied = this.#apply(verb, done);
    if (applied) this.#parts.changed(this.#virtual, mailed);
    return applied;
  }

  #apply(verb: Verb, done: string): boolean {
    try {
      this.#parts.director.apply(verb, 'monitor');
    } catch (error) {
      if (!(error instanceof DirectorError)) throw error;
      this.#parts.log(
        `Refused (${error.code}): ${verb.verb} ${subject(verb)}${this.#virtual.id}: ${error.message}`,
      );
      return false;
    }
    this.#parts.log(done);
    return true;
  }
}

function subject(verb: Verb): string {
  return 'destination' in verb ? `${destinationKey(verb.destination)} of ` : '';
}

function idleServer(server: Server): Server {
  return { ...server, settings: { ...server.settings, weight: 0 } };
}

function differs(present: Destination, { settings }: Server): boolean {
  return (
    present.weight !== settings.weight ||
    present.forwarding !== settings.forwarding ||
    present.upperThreshold !== settings.upperThreshold ||
    present.lowerThreshold !== settings.lowerThreshold
  );
}
