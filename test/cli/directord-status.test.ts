import t from 'tap';
import type { Status } from '../../src/cli/directord-status.ts';
import { statusJson, statusText } from '../../src/cli/directord-status.ts';
import type { ServerHealth, ServiceHealth } from '../../src/observe/health.ts';

const now = new Date(2026, 10, 23, 14, 10, 27);
const [second, minute, hour] = [1000, 60_000, 3_600_000];

function server(name: string, changes: Partial<ServerHealth> = {}): ServerHealth {
  return {
    name,
    state: 'up',
    stateFor: 2 * hour + 5 * minute + 10 * second,
    dampedFor: undefined,
    failures: 0,
    failurecount: 3,
    check: { up: true, detail: '200 OK', milliseconds: 12.4 },
    nextCheck: 4 * second,
    ...changes,
  };
}

const refused = { up: false, detail: 'Connection refused', milliseconds: 0.3 };
const services: readonly ServiceHealth[] = [
  {
    id: 'tcp:10.1.0.100:80',
    fallback: '127.0.0.1:80',
    fallbackActive: false,
    servers: [
      server('10.2.0.11:80'),
      server('10.2.0.112:8080', {
        state: 'down',
        stateFor: 35 * hour,
        failures: 3,
        check: { up: false, detail: 'timed out\nafter \u001b[31m5 s', milliseconds: 5003 },
        nextCheck: 0,
      }),
      server('10.2.0.13:80', { state: 'damped', stateFor: 75 * second, dampedFor: 40 * second }),
    ],
  },
  {
    id: 'fwm:7',
    fallback: '127.0.0.1:0',
    fallbackActive: true,
    servers: [
      server('10.2.0.14:25', {
        state: 'maintenance',
        check: { ...refused, detail: 'Server in maintenance' },
      }),
      server('10.2.0.15:25', { state: 'down', stateFor: 100, check: undefined, nextCheck: undefined }),
      server('10.2.0.16:25', { state: 'unchecked', stateFor: 100, check: undefined }),
    ],
  },
];

void t.test('for people', (t) => {
  t.equal(
    statusText(services, now),
    `2 services, 1 of 6 servers up, 1 fallback in use

  SERVER           STATE        SINCE                    FAILED  NEXT   TOOK   LAST RESULT
tcp:10.1.0.100:80  1 of 3 up
  10.2.0.11:80     up           12:05:17 (2 h 5 min)     0/3     4 s    12 ms  200 OK
  10.2.0.112:8080  DOWN         Nov 22 03:10 (1 d 11 h)  -       now    5.0 s  timed out after [31m5 s
  10.2.0.13:80     damped       14:09:12 (1 min 15 s)    -       4 s    12 ms  200 OK; back when well for 40 s more
fwm:7  0 of 3 up, fallback 127.0.0.1:0 stands in
  10.2.0.14:25     maintenance  12:05:17 (2 h 5 min)     -       4 s    0 ms   Server in maintenance
  10.2.0.15:25     DOWN         14:10:26 (0 s)           -       never  -      checktype=off
  10.2.0.16:25     unchecked    14:10:26 (0 s)           -       4 s    -      no check has ended yet
`,
  );
  t.end();
});

void t.test('for programs', (t) => {
  const status: Status = { state: 'running', pid: 4711, file: '/etc/ha.d/ld.cf', services };
  const read = JSON.parse(statusJson(status, now)) as Record<string, unknown>;
  t.match(read, { state: 'running', pid: 4711, file: '/etc/ha.d/ld.cf' });
  t.match(read['services'], [
    {
      id: 'tcp:10.1.0.100:80',
      fallback: { name: '127.0.0.1:80', active: false },
      servers: [
        {
          name: '10.2.0.11:80',
          state: 'up',
          since: new Date(2026, 10, 23, 12, 5, 17).toISOString(),
          seconds: 7510,
          failures: 0,
          failurecount: 3,
          check: { up: true, seconds: 0.012, detail: '200 OK' },
          nextCheckSeconds: 4,
          dampedSeconds: null,
        },
        { state: 'down', check: { detail: 'timed out\nafter \u001b[31m5 s' } },
        { dampedSeconds: 40 },
      ],
    },
    { servers: [{}, { check: null, nextCheckSeconds: null }, {}] },
  ]);
  t.end();
});
