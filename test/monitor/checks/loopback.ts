/** Helpers of the check tests: servers on the loopback interface, and a checker with nothing but what a test gives. */
import type { AddressInfo, Server, Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { CheckSettings } from '../../../src/config/model.ts';
import type { CheckResult } from '../../../src/monitor/check.ts';
import type { CheckerParts } from '../../../src/monitor/checks/ask.ts';
import { createChecker } from '../../../src/monitor/checks/checker.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { checkSettings } from '../../support/configuration.ts';

interface Teardown {
  teardown(end: () => unknown): void;
}

/** Listens on a free port and returns it; server and connections are closed at the end of the test. */
export async function listen(t: Teardown, server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, host, resolve);
  });
  return (server.address() as AddressInfo).port;
}

/** A port on which nobody listens. */
export async function freePort(t: Teardown, server: Server): Promise<number> {
  const port = await listen(t, server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** `receive` as the pattern that it is. */
type Asked = Omit<Partial<CheckSettings>, 'receive'> & { readonly receive?: RegExp };

export function check(
  { receive, ...settings }: Asked,
  parts: Partial<CheckerParts> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<CheckResult> {
  const checker = createChecker({
    clock: systemClock,
    ping: () => Promise.reject(new Error('no ping in this test')),
    run: () => Promise.reject(new Error('no command in this test')),
    trust: () => createSecureContext(),
    ftpPassive: true,
    find: ({ pattern }, texts) => Promise.resolve(texts.find((text) => pattern.test(text))),
    log: () => undefined,
    ...parts,
  });
  return checker(
    checkSettings({ ...settings, ...(receive && { receive: { text: receive.source, pattern: receive } }) }),
    signal,
  );
}
