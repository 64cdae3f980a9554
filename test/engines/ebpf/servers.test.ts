/** What the engine knows and tells of real servers, over the kernel's own maps and routes that are made up. */
import t from 'tap';
import { Host } from '../../../src/engines/ebpf/host.ts';
import { Server, ServerFlag } from '../../../src/engines/ebpf/layout.ts';
import { EbpfTable } from '../../../src/engines/ebpf/table.ts';
import { defaultVsSettings } from '../../../src/engines/vs-settings.ts';
import type { Route } from '../../../src/platform/netlink.ts';
import { Pool } from '../../../src/scheduling/pool.ts';
import type { Address } from '../../../src/util/ip.ts';
import { addressBytes } from '../../../src/util/ip.ts';
import { skip } from '../../platform/bpf/lab.ts';
import { tcp80 } from '../../support/table.ts';
import { add, addService, load, one, sizes, two } from './lab.ts';

const onLink: Route = {
  interfaceIndex: 3,
  gateway: undefined,
  source: '10.2.0.1',
  mtu: 0,
  mtuExpires: undefined,
  kind: 'unicast',
};

/** A table and what it knows of a host with these routes. */
function servers(routes: Readonly<Record<Address, Route>>) {
  const director = load();
  t.teardown(() => {
    director.close();
  });
  const asked: Address[] = [];
  const memory = new DataView(director.view('servers'), 0, sizes.destinations * Server.bytes);
  const host = new Host({
    director,
    netlink: {
      addresses: () => [],
      route: (address) => {
        asked.push(address);
        return routes[address];
      },
    },
  });
  const pool = new Pool(director.pool, sizes);
  const weights: number[] = [];
  const table = new EbpfTable({
    director,
    size: director.sizes,
    settings: defaultVsSettings,
    problem: (message) => {
      throw new Error(message);
    },
    serverComes: (slot) => {
      weights.push(pool.weight(slot));
      host.placeServer(slot);
    },
  });
  const placeOf = (slot: number) => ({
    flags: memory.getUint32(slot * Server.bytes + Server.flags, true),
    source: Buffer.from(memory.buffer, slot * Server.bytes + Server.source, 4).join('.'),
  });
  return { table, host, memory, asked, weights, placeOf };
}

t.test('where a server is, and where its tunnels begin, is known before it is picked', { skip }, (t) => {
  const here: Route = { ...onLink, kind: 'local', interfaceIndex: 1, source: '10.2.0.12' };
  const { table, host, asked, weights, placeOf } = servers({ [one.address]: onLink, [two.address]: here });
  table.apply([addService(tcp80), add(tcp80, one), add(tcp80, two), add(tcp80, { ...one, port: 81 })]);
  t.same(weights, [0, 0, 0], 'when it was, nobody picked it yet');
  t.same(placeOf(0), { flags: 0, source: '10.2.0.1' });
  t.same(placeOf(1), { flags: ServerFlag.local, source: '10.2.0.12' });
  t.same(placeOf(2), placeOf(0));
  t.same(asked, [one.address, two.address], 'of each address the kernel is asked once,');
  host.forgetPlaces();
  table.apply([add(tcp80, { ...one, port: 82 })]);
  t.equal(asked.length, 3, 'and once more for the next change');
  t.end();
});

t.test('clients who ask again without a reply are told of once', { skip }, (t) => {
  const routes = {
    [one.address]: onLink,
    '10.2.0.99': onLink,
    '10.1.0.2': { ...onLink, interfaceIndex: 2 },
    [two.address]: { ...onLink, kind: 'local' },
  } as const;
  const { table, host, memory } = servers(routes);
  table.apply([addService(tcp80), add(tcp80, one), add(tcp80, two)]);
  const askAgain = (slot: number, client: Address, times: number): void => {
    const at = slot * Server.bytes;
    memory.setUint32(at + Server.unanswered, times, true);
    Buffer.from(memory.buffer, at + Server.unansweredClient, 4).set(addressBytes(client));
  };
  const lines = () => table.unanswered((server, client) => host.bypass(server, client));
  t.same(lines(), []);
  askAgain(0, '10.2.0.99', 1);
  askAgain(1, '10.1.0.2', 3);
  t.match(lines(), [
    /^no reply of 10\.2\.0\.11:8080 of \S+ .* client 10\.2\.0\.99 had to ask again: .* the same network/,
    /^no reply of 10\.2\.0\.12:8080 .* 3 times \(such as 10\.1\.0\.2\): it is this host itself/,
  ]);
  t.same(lines(), []);
  askAgain(0, '10.1.0.2', 1);
  t.match(lines(), [/is the director its default gateway\?/], 'from elsewhere');
  t.end();
});
