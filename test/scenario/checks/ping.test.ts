import t from 'tap';
import { which } from '../lab/paths.ts';
import { skipReason } from '../lab.ts';
import { Place } from './place.ts';
import { probe, tableLine } from './row.ts';

/** A network of this command alone: a cable with nobody at its other end, and a route to nowhere. It is gone with the command. */
const network = `ip link set lo up
ip link add nowhere type veth peer name nobody
ip link set nobody up
ip address add 10.99.0.1/24 dev nowhere
ip link set nowhere up
ip route add unreachable 10.98.0.0/24
exec "$@"`;

void t.test('ping: every situation', { skip: skipReason }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const lines = ['checktype=ping', 'checkcount=2', 'checktimeout=1'];
  const sections = ['127.0.0.1', '10.98.0.2', '10.99.0.2', '[::1]'].map((address) => ({
    address,
    port: 80,
    lines,
  }));
  const prefix = [which('unshare') ?? '', '--net', 'sh', '-ec', network, 'sh'];
  const { found, output } = await probe(place, sections, { prefix });
  t.match(found, [
    { up: true, detail: 'echo reply' },
    { up: false, detail: 'No route to host' },
    { up: false, detail: 'timed out after 2 s' },
    { up: true, detail: 'echo reply' },
  ]);
  if (!t.passing()) t.comment(output);
  const [up, refused, silent, six] = found.map(({ up, detail }) => `${up ? 'up' : 'down'}: ${detail}`);
  const others = 'n/a: a reply is all there is';
  const kernel = (await place.run(['uname', '-sr'])).stdout.trim();
  t.comment(tableLine(['ping', kernel, up, others, refused, silent, others, others, six].map(String)));
});
