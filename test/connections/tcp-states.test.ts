/** TCP as the director sees it: the states that a real kernel showed for each way to open and close a connection. */
import t from 'tap';
import { TCP, UDP } from '../../src/connections/protocols.ts';
import {
  Direction,
  isActive,
  nextTcpState,
  stateName,
  tcpEvent,
  tcpStateNames,
} from '../../src/connections/tcp-states.ts';
import { ConnectionTimeouts } from '../../src/connections/timeouts.ts';

const flagBits = { F: 0x01, S: 0x02, R: 0x04, P: 0x08, A: 0x10, U: 0x20 } as const;
const directions = { '>': Direction.input, '<': Direction.output, '|': Direction.inputOnly } as const;

/** The state after packets such as `>S <SA >A`: `>` from the client, `<` from the server, `|` from the client with gate. */
function after(packets: string, secure = false): string {
  const state = packets.split(' ').reduce((state, packet) => {
    const flags = Array.from(packet.slice(1)).reduce(
      (sum, flag) => sum | flagBits[flag as keyof typeof flagBits],
      0,
    );
    return nextTcpState(
      directions[packet.charAt(0) as keyof typeof directions],
      tcpEvent(flags),
      state,
      secure,
    );
  }, 0);
  return stateName(TCP, state);
}

void t.test('masquerading: both directions are seen', (t) => {
  t.equal(after('>S'), 'SYN_RECV', 'unanswered');
  t.equal(after('>S <SA'), 'SYN_RECV');
  t.equal(after('>S <SA >A'), 'ESTABLISHED');
  t.equal(after('>S <RA'), 'CLOSE', 'server refuses');
  const open = '>S <SA >A';
  t.equal(after(`${open} >PA <A <PA >A`), 'ESTABLISHED');
  t.equal(after(`${open} >FA`), 'CLOSE_WAIT', 'client closes first');
  t.equal(after(`${open} >FA <A`), 'CLOSE_WAIT');
  t.equal(after(`${open} >FA <A <FA >A`), 'TIME_WAIT', 'then the server');
  t.equal(after(`${open} <FA >A`), 'FIN_WAIT', 'server closes first');
  t.equal(after(`${open} <FA >A >FA <A`), 'TIME_WAIT', 'then the client');
  t.equal(after(`${open} >R`), 'CLOSE', 'client resets');
  t.equal(after(`${open} <R`), 'CLOSE', 'server resets');
  t.equal(after(`${open} >P`), 'CLOSE', 'a packet without any of the flags');
  t.end();
});

void t.test('gate and ipip: only the client is seen', (t) => {
  t.equal(after('|S'), 'SYN_RECV');
  t.equal(after('|S |A'), 'ESTABLISHED');
  t.equal(after('|S |A |FA'), 'FIN_WAIT', 'client closes');
  t.equal(after('|S |A |FA |A'), 'FIN_WAIT');
  t.equal(after('|S |A |A'), 'ESTABLISHED', 'what the server does is invisible');
  t.equal(after('|S |A |R'), 'CLOSE');
  t.end();
});

void t.test('secure_tcp: established when the server goes on, not when the client says so', (t) => {
  const secure = (packets: string) => after(packets, true);
  t.equal(secure('>S'), 'SYN_RECV');
  t.equal(secure('>S >A'), 'SYN_RECV', 'a client alone opens nothing');
  t.equal(secure('>S <SA'), 'SYNACK');
  t.equal(secure('>S <SA >A'), 'SYNACK');
  t.equal(secure('>S <SA >S >FA'), 'SYNACK');
  t.equal(secure('>S <SA >A <A'), 'ESTABLISHED');
  t.equal(secure('>S <SA >R'), 'CLOSE');
  t.equal(secure('>S <SA >A <A >FA <A <FA >A'), 'TIME_WAIT', 'from there on as without');
  t.equal(secure('|S'), 'SYNACK');
  t.equal(secure('|S |A'), 'ESTABLISHED');
  t.equal(secure('|S |A |FA |S'), 'SYNACK');
  t.end();
});

void t.test('RST counts before SYN, SYN before FIN, FIN before ACK', (t) => {
  t.equal(after('>SR'), after('>R'));
  t.equal(after('>S <SA >A >SF'), 'ESTABLISHED');
  t.equal(after('>S <SA >A >FA'), after('>S <SA >A >F'));
  t.end();
});

void t.test('active are ESTABLISHED and the three states before it', (t) => {
  t.same(
    tcpStateNames.filter((_, state) => isActive(state)),
    ['ESTABLISHED', 'SYN_SENT', 'SYN_RECV', 'SYNACK'],
  );
  t.equal(stateName(UDP, 0), 'UDP');
  t.end();
});

void t.test('timeouts in seconds', (t) => {
  const timeouts = new ConnectionTimeouts();
  const all = () =>
    Object.fromEntries(tcpStateNames.map((name, state) => [name, timeouts.of(TCP, state)] as const));
  const defaults = {
    ...{ NONE: 2, ESTABLISHED: 900, SYN_SENT: 120, SYN_RECV: 60, FIN_WAIT: 120, TIME_WAIT: 120 },
    ...{ CLOSE: 10, CLOSE_WAIT: 60, LAST_ACK: 30, LISTEN: 120, SYNACK: 120 },
  };
  t.same(all(), defaults);
  t.equal(timeouts.of(UDP, 0), 300);
  timeouts.set({ tcp: 7200, tcpFin: 0, udp: 20 });
  t.same(all(), { ...defaults, ESTABLISHED: 7200 }, '0 changes nothing');
  t.equal(timeouts.of(UDP, 0), 20);
  timeouts.set({ tcp: 0, tcpFin: 30, udp: 0 });
  t.same(all(), { ...defaults, ESTABLISHED: 7200, FIN_WAIT: 30 });
  t.end();
});
