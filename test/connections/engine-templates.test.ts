/** Templates for what a persistence engine found in packets: how long they are known, and by what. */
import t from 'tap';
import { ConnectionKey } from '../../src/connections/connection-key.ts';
import { NO_SLOT } from '../../src/connections/connection-table.ts';
import type { PersistentService } from '../../src/connections/persistence.ts';
import { PersistenceTable } from '../../src/connections/persistence.ts';
import { UDP } from '../../src/connections/protocols.ts';
import { ConnectionTimeouts } from '../../src/connections/timeouts.ts';
import { Pool } from '../../src/scheduling/pool.ts';

const service: PersistentService = { timeout: 60, netmask: -1, mark: 0, everyPort: false, engine: 'sip' };

function lab(limits: { readonly limit?: number; readonly halfOpen?: number } = {}) {
  const pool = Pool.create({ services: 1, destinations: 2 });
  const slot = pool.addService(1, 0);
  const servers = ['10.2.0.11', '10.2.0.12'].map((address) => {
    const server = pool.addDestination(slot, address, 5060);
    pool.setDestination(server, { weight: 1, upper: 0, lower: 0, barred: false });
    return server;
  });
  const templates = new PersistenceTable(pool, {
    seed: 1,
    timeouts: new ConnectionTimeouts(),
    now: 0,
    capacity: 16,
    ...limits,
  });
  const key = new ConnectionKey();
  const from = (client: string) => key.set(UDP, client, 50001, '10.1.0.100', 5060);
  const [one = NO_SLOT, two = NO_SLOT] = servers;
  return { pool, one, two, templates, from };
}

void t.test('a template of a call is none of the client, nor of another call', (t) => {
  const { one, two, templates, from } = lab();
  const call = templates.insert(from('10.1.0.2'), service, one, 0, 'aaa@x');
  t.equal(templates.find(from('10.1.0.2'), service, 'aaa@x'), call);
  t.equal(templates.find(from('10.1.0.2'), service, 'aaa@y'), NO_SLOT);
  t.equal(templates.find(from('10.1.0.3'), service, 'aaa@x'), NO_SLOT);
  t.equal(templates.find(from('10.1.0.2'), service), NO_SLOT);
  const client = templates.insert(from('10.1.0.2'), service, two, 0);
  t.equal(templates.find(from('10.1.0.2'), service), client);
  t.equal(templates.find(from('10.1.0.2'), service, 'aaa@x'), call);
  t.match(templates.engineData(call), { engine: 'sip', data: 'aaa@x' });
  t.equal(templates.engineData(client), undefined);
  t.end();
});

void t.test('thousands of calls of one client, and their end', (t) => {
  const { pool, one, templates, from } = lab();
  const calls = Array.from({ length: 5000 }, (_, i) => {
    return templates.insert(from('10.1.0.2'), service, one, 0, `call-${i}`);
  });
  t.ok(calls.every((slot, i) => templates.find(from('10.1.0.2'), service, `call-${i}`) === slot));
  templates.restart(calls[7] ?? NO_SLOT, 30_000);
  templates.advance(61_000);
  t.equal(pool.persistent(one), 1, 'those that nobody spoke of are gone');
  t.equal(templates.find(from('10.1.0.2'), service, 'call-8'), NO_SLOT);
  t.equal(templates.find(from('10.1.0.2'), service, 'call-7'), calls[7]);
  const next = templates.insert(from('10.1.0.3'), service, one, 61_000);
  t.equal(templates.engineData(next), undefined, 'a slot that is taken anew has nothing of the old call');
  t.end();
});

void t.test('a call that made room for another is forgotten', (t) => {
  const { one, templates, from } = lab({ limit: 2, halfOpen: 2 });
  templates.insert(from('10.1.0.2'), service, one, 0, 'a');
  const answered = templates.insert(from('10.1.0.2'), service, one, 0, 'b');
  templates.answered(answered);
  templates.insert(from('10.1.0.2'), service, one, 0, 'c');
  t.equal(templates.find(from('10.1.0.2'), service, 'a'), NO_SLOT);
  t.equal(templates.find(from('10.1.0.2'), service, 'b'), answered, 'not one that the server has answered');
  t.equal(templates.stateName(answered), 'ASSURED');
  t.end();
});

void t.test('the server that speaks has the call from then on', (t) => {
  const { pool, one, two, templates, from } = lab();
  const first = templates.claim(from('10.1.0.2'), service, one, 0, 'a');
  t.equal(templates.claim(from('10.1.0.2'), service, one, 0, 'a'), first, 'it has it already');
  const second = templates.claim(from('10.1.0.2'), service, two, 0, 'a');
  t.not(second, first);
  t.equal(templates.find(from('10.1.0.2'), service, 'a'), second);
  t.match(templates.engineData(first), { data: 'a' }, 'the old template is listed until it ends');
  pool.unlink(two);
  t.equal(templates.find(from('10.1.0.2'), service, 'a'), NO_SLOT, 'unless it is deleted');
  t.end();
});
