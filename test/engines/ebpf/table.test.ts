import t from 'tap';
import { skip } from '../../platform/bpf/lab.ts';
import { masq, roundRobin, tcp80 } from '../../support/table.ts';
import { load, tableOver } from './lab.ts';

t.test('a service and its server are where programs look for them', { skip }, (t) => {
  const director = load();
  const table = tableOver(director);
  table.apply([
    { verb: 'add-service', service: tcp80, settings: roundRobin },
    { verb: 'add-destination', service: tcp80, destination: { address: '10.2.0.11', port: 8080 }, settings: masq },
  ]);
  t.same(table.services().length, 1);
  t.same([...director.map('endpoints').entries()].map(([k, v]) => [k.toString('hex'), v.readUInt32LE()]), []);
  t.same([...director.map('real_endpoints').entries()].map(([k, v]) => [k.toString('hex'), v.readUInt32LE()]), []);
  t.same(table.report(), {});
  t.same(table.adopt(), tableOver(director).adopt());
  director.close();
  t.end();
});
