/** Runs inside a network namespace: each line of its input is `[method, ...arguments]` for a Netlink, each of its output the result. */
import { createInterface } from 'node:readline';
import { Netlink } from '../../src/platform/netlink.ts';

const netlink = new Netlink();

function answer([method = '', ...given]: readonly string[]): unknown {
  const [first = '', second] = given;
  switch (method) {
    case 'links':
      return netlink.links();
    case 'addresses':
      return netlink.addresses();
    case 'neighbours':
      return netlink.neighbours();
    case 'neighbour':
      return netlink.neighbour(Number(first), second ?? '');
    case 'route':
      return netlink.route(first, second);
    case 'subscribe':
      netlink.subscribe();
      return true;
    case 'changed':
      return netlink.changed();
    default:
      throw new Error(`no method ${method}`);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const result = answer(JSON.parse(line) as string[]);
  console.log(
    JSON.stringify(result ?? null, (_key, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
    ),
  );
}
netlink.close();
