import t from 'tap';
import { ConnectionKey } from '../../src/connections/connection-key.ts';
import { ConnectionTable } from '../../src/connections/connection-table.ts';
import { PersistenceTable } from '../../src/connections/persistence.ts';
import { TCP } from '../../src/connections/protocols.ts';
import { TcpState } from '../../src/connections/tcp-states.ts';
import { ConnectionTimeouts } from '../../src/connections/timeouts.ts';
import { connectionPart, connectionRows } from '../../src/engines/connection-rows.ts';
import { Pool } from '../../src/scheduling/pool.ts';

const now = 5000;

function tables(connections: number, clients: number) {
  const pool = Pool.create({ services: 1, destinations: 2 });
  const service = pool.addService(1, 0);
  const destination = pool.addDestination(service, '2001:db8:2::11', 8080);
  const common = { seed: 1, timeouts: new ConnectionTimeouts(), now };
  const templates = new PersistenceTable(pool, common);
  const table = new ConnectionTable(pool, common);
  const key = new ConnectionKey();
  for (let i = 0; i < connections; i++) {
    key.set(TCP, '2001:db8:1::2', 1000 + i, '2001:db8:1::100', 80);
    table.setState(table.insert(key, destination, now), TcpState.established, now);
  }
  for (let i = 0; i < clients; i++) {
    key.set(TCP, `2001:db8:1::${(i + 2).toString(16)}`, 0, '2001:db8:1::100', 80);
    templates.table.insert(key, destination, now);
  }
  return { pool, table, templates };
}

/** Part by part, as the daemon asks. */
function inParts({ pool, table, templates }: ReturnType<typeof tables>, most: number) {
  const sizes: number[] = [];
  const rows = [];
  for (let from: number | undefined = 0; from !== undefined;) {
    const part = connectionPart(pool, table, templates, now, from, most);
    sizes.push(part.connections.length);
    rows.push(...part.connections);
    from = part.next;
  }
  return { sizes, rows };
}

t.test('a listing in parts is the whole listing, templates first', (t) => {
  const lab = tables(25, 7);
  const whole = connectionRows(lab.pool, lab.table, lab.templates, now);
  t.equal(whole.length, 32);
  t.match(whole[0], { client: '2001:db8:1::2', clientPort: 0, expires: Number });
  t.match(whole[7], {
    protocol: 'tcp',
    state: 'ESTABLISHED',
    expires: 900,
    client: '2001:db8:1::2',
    clientPort: 1000,
    virtual: '2001:db8:1::100',
    virtualPort: 80,
    destination: '2001:db8:2::11',
    destinationPort: 8080,
  });
  for (const most of [1, 7, 8, 32, 1000]) t.same(inParts(lab, most).rows, whole, `${most} at a time`);
  t.same(inParts(lab, 10).sizes, [10, 10, 10, 2]);
  t.same(inParts(tables(0, 0), 10), { sizes: [0], rows: [] }, 'nothing there');
  t.end();
});

t.test('what goes between two parts breaks nothing', (t) => {
  const { pool, table, templates } = tables(10, 0);
  const first = connectionPart(pool, table, templates, now, 0, 4);
  for (const slot of [2, 4, 5, 9]) table.remove(slot);
  const rest = connectionPart(pool, table, templates, now, first.next ?? 0, 100);
  t.same(
    rest.connections.map(({ clientPort }) => clientPort),
    [1006, 1007, 1008],
  );
  t.equal(rest.next, undefined);
  t.end();
});
