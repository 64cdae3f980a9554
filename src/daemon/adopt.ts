/**
 * A new daemon's director begins with the table that forwarding goes on with, so that listings are right at once and the
 * monitor changes only what differs from the configuration.
 */
import type { Director } from '../director/director.ts';
import type { Verb } from '../director/verbs.ts';
import { DirectorError } from '../director/verbs.ts';
import { replay } from '../engines/child-engine.ts';
import type { AdoptedTable, Engine, EngineEvents } from '../engines/engine.ts';

/** In whose name the verbs are that put the table into the director: the engine has them already. */
export const adopting = 'adopting';

export function adopt(
  { services, timeouts }: AdoptedTable,
  director: Director,
  engine: Pick<Engine, 'apply'>,
  events: EngineEvents,
): void {
  for (const verb of replay({ services: () => services, timeouts: () => timeouts })) {
    try {
      director.apply(verb, adopting);
    } catch (error) {
      if (!(error instanceof DirectorError)) throw error;
      events.problem(`not gone on with: ${error.message}`);
      const opposite = undoing(verb);
      if (opposite !== undefined) engine.apply(opposite);
    }
  }
  const destinations = services.reduce((sum, service) => sum + service.destinations.length, 0);
  events.info(
    `Goes on with ${services.length} services and ${destinations} servers that it found in the table`,
  );
}

/** What was right when it was entered may be refused now: the address of a server has become a broadcast address. */
function undoing(verb: Verb): Verb | undefined {
  if (verb.verb === 'add-service') return { verb: 'delete-service', service: verb.service };
  if (verb.verb !== 'add-destination') return undefined;
  return { verb: 'delete-destination', service: verb.service, destination: verb.destination };
}
