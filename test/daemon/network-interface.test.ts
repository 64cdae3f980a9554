import t from 'tap';
import { hostBroadcasts, interfaceMtu } from '../../src/daemon/network-interface.ts';

t.test('broadcast addresses of the networks this host is on, asked for once a second', (t) => {
  let now = 0;
  const isBroadcast = hostBroadcasts({ now: () => now, after: () => ({ cancel: () => undefined }) });
  for (now of [0, 500, 1500]) {
    t.ok(isBroadcast('127.255.255.255'), 'of the loopback network');
    t.notOk(isBroadcast('127.0.0.1'));
    t.notOk(isBroadcast('203.0.113.254'), 'the last address of no network');
    t.notOk(isBroadcast('2001:db8::ff'));
  }
  t.end();
});

t.test('the MTU of an interface', (t) => {
  t.ok((interfaceMtu('lo') ?? 0) > 1500);
  t.equal(interfaceMtu('no-such-one'), undefined);
  t.equal(interfaceMtu('../lo'), undefined);
  t.end();
});
