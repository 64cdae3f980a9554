/** Readers of what a monitor reports: the health of each service. */
import type { ServerHealth, ServiceHealth } from '../observe/health.ts';
import type { Reader } from './shape.ts';
import { array, integer, object, oneOf, quantity, text, truth } from './shape.ts';

/** The longest answer of a server that travels; a check may have been told more. */
export const maxDetail = 1000;

const name = text(255);

const check = object({ up: truth, detail: text(maxDetail), milliseconds: quantity });

const server = object(
  {
    name,
    state: oneOf('up', 'down', 'unchecked', 'maintenance', 'damped'),
    stateFor: quantity,
    failures: quantity,
    failurecount: quantity,
  },
  { dampedFor: quantity, check, nextCheck: quantity },
);

const service = object({ id: name, fallbackActive: truth, servers: array(server) }, { fallback: name });

export const serviceHealth: Reader<ServiceHealth> = (value) => {
  const found = service(value);
  const servers = found.servers.map((each): ServerHealth => {
    const { check, dampedFor, nextCheck } = each;
    return { ...each, check, dampedFor, nextCheck };
  });
  return { ...found, fallback: found.fallback, servers };
};

/** Who tells it. */
export const teller = object({ pid: integer(0, Number.MAX_SAFE_INTEGER) });

/** As it travels. */
export function healthRow(health: ServiceHealth): ServiceHealth {
  const servers = health.servers.map((each) =>
    each.check === undefined
      ? each
      : { ...each, check: { ...each.check, detail: each.check.detail.slice(0, maxDetail) } },
  );
  return { ...health, servers };
}
