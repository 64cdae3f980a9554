/** What the kernel is kept off, as the table changes step by step, beside what the whole table says at each moment. */
import fc from 'fast-check';
import t from 'tap';
import type { DestinationSettings, ServiceId } from '../../../src/director/table.ts';
import { serviceKey } from '../../../src/director/table.ts';
import { Claimants } from '../../../src/engines/packet/claimants.ts';
import { Claims } from '../../../src/engines/packet/claims.ts';
import type { PoolDestination, PoolService } from '../../../src/engines/pool-table.ts';
import { masq, roundRobin, tcp80 } from '../../support/table.ts';

const ids: readonly ServiceId[] = [
  tcp80,
  { ...tcp80, port: 21 },
  { ...tcp80, protocol: 'udp' },
  { ...tcp80, address: '2001:db8::1' },
  { kind: 'fwmark', mark: 7, family: 'inet' },
];

/** A pool table, as far as claims look at it; deleted destinations stay referenced until `settle`. */
function lab() {
  const claimants = new Claimants();
  const claims = new Claims();
  const services = new Map<string, PoolService>();
  /** What the guard has been told. */
  const guarded = new Set<string>();
  let slots = 0;
  const name = (kind: string, what: object): string => `${kind} ${JSON.stringify(what)}`;
  const tell = (): void => {
    for (const [key, claimant] of claimants.takeChanged()) claims.update(key, claimant);
    const change = claims.takeChange();
    for (const kind of ['services', 'replies', 'marks'] as const) {
      for (const what of change?.guard.removed[kind] ?? [])
        if (!guarded.delete(name(kind, what))) throw new Error('removed what was not there');
      for (const what of change?.guard.added[kind] ?? []) {
        if (guarded.has(name(kind, what))) throw new Error('added what was there');
        guarded.add(name(kind, what));
      }
    }
  };
  return {
    claims,
    guarded,
    tell,
    set: (id: ServiceId, persistence: number) => {
      const key = serviceKey(id);
      const service = services.get(key) ?? { id, slot: 0, settings: roundRobin, destinations: new Map() };
      service.settings = { ...roundRobin, persistence };
      services.set(key, service);
      claimants.serviceSet(service);
    },
    remove: (id: ServiceId, held: boolean) => {
      const service = services.get(serviceKey(id));
      if (service === undefined) return;
      for (const destination of service.destinations.values())
        claimants.destinationRemoved(service, destination, held);
      services.delete(serviceKey(id));
      claimants.serviceRemoved(service);
    },
    setServer: (id: ServiceId, address: string, settings: DestinationSettings) => {
      const service = services.get(serviceKey(id));
      if (service === undefined) return;
      const destination: PoolDestination = { id: { address, port: 80 }, slot: slots++, settings };
      service.destinations.set(`${address}:80`, destination);
      claimants.destinationSet(service, destination);
    },
    removeServer: (id: ServiceId, address: string, held: boolean) => {
      const service = services.get(serviceKey(id));
      const destination = service?.destinations.get(`${address}:80`);
      if (service === undefined || destination === undefined) return;
      service.destinations.delete(`${address}:80`);
      claimants.destinationRemoved(service, destination, held);
    },
    settle: () => {
      claimants.forget(() => true);
    },
    /** What the services of the table alone claim. */
    expected: () => {
      const whole = new Claims();
      const all = new Claimants();
      for (const service of services.values()) all.serviceSet(service);
      for (const [key, claimant] of all.takeChanged()) whole.update(key, claimant);
      const change = whole.takeChange()?.guard.added;
      return new Set(
        (['services', 'replies', 'marks'] as const).flatMap((kind) =>
          (change?.[kind] ?? []).map((what) => name(kind, what)),
        ),
      );
    },
    isEmpty: () => claimants.isEmpty,
  };
}

t.test('what changes step by step is what the whole table says', (t) => {
  const id = fc.constantFrom(...ids);
  const address = fc.constantFrom('10.2.0.11', '10.2.0.12', '2001:db8:2::1');
  const settings = fc.constantFrom(masq, { ...masq, forwarding: 'gate' as const });
  const step = fc.oneof(
    fc.record({ do: fc.constant('set' as const), id, persistence: fc.constantFrom(0, 60) }),
    fc.record({ do: fc.constant('remove' as const), id, held: fc.boolean() }),
    fc.record({ do: fc.constant('setServer' as const), id, address, settings }),
    fc.record({ do: fc.constant('removeServer' as const), id, address, held: fc.boolean() }),
    fc.record({ do: fc.constant('tell' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const table = lab();
      for (const step of steps) {
        if (step.do === 'set') table.set(step.id, step.persistence);
        else if (step.do === 'remove') table.remove(step.id, step.held);
        else if (step.do === 'setServer') table.setServer(step.id, step.address, step.settings);
        else if (step.do === 'removeServer') table.removeServer(step.id, step.address, step.held);
        else table.tell();
      }
      table.tell();
      const wanted = table.expected();
      // connections of deleted servers may keep more than the table has, never less
      if (![...wanted].every((one) => table.guarded.has(one))) return false;
      if (table.isEmpty() && table.guarded.size > 0) return false;
      table.settle();
      table.tell();
      return (
        wanted.size === table.guarded.size &&
        table.claims.marked === wanted.has('marks {"family":4,"mark":7}')
      );
    }),
    { numRuns: 500 },
  );
  t.pass('500 histories');
  t.end();
});

t.test(
  'a deleted server stays claimed as long as connections refer to it, and the family has a service',
  (t) => {
    const table = lab();
    const reply = 'replies {"family":4,"protocol":"tcp","address":"10.2.0.11","port":80}';
    table.set(tcp80, 0);
    table.setServer(tcp80, '10.2.0.11', masq);
    table.removeServer(tcp80, '10.2.0.11', true);
    table.tell();
    t.ok(table.guarded.has(reply));
    table.remove(tcp80, true);
    table.tell();
    t.equal(table.guarded.size, 0, 'without any service the kernel has everything');
    table.set({ ...tcp80, port: 443 }, 0);
    table.tell();
    t.ok(table.guarded.has(reply), 'and with one of that family it has not');
    table.settle();
    table.tell();
    t.notOk(table.guarded.has(reply));
    t.end();
  },
);

t.test('what several services share is theirs until the last one goes', (t) => {
  const table = lab();
  const other = { ...tcp80, port: 443 };
  for (const id of [tcp80, other]) {
    table.set(id, 0);
    table.setServer(id, '10.2.0.11', masq);
  }
  table.tell();
  t.same([table.claims.virtual.items(), table.claims.servers.items()], [['10.1.0.100'], ['10.2.0.11']]);
  table.remove(tcp80, false);
  table.tell();
  t.same([table.claims.virtual.items(), table.claims.servers.items()], [['10.1.0.100'], ['10.2.0.11']]);
  table.remove(other, false);
  table.tell();
  t.same([table.claims.virtual.items(), table.claims.servers.items()], [[], []]);
  t.end();
});
