/**
 * Sessions with echo-server that stay open. Prints one JSON line after opening them and after every command: how many were
 * answered by which server, how many wait for an answer, how many were closed by the other side.
 * `ask SECONDS` sends a line on each and waits so long for the answers; `await SECONDS` only waits; `open COUNT` opens more.
 * usage: echo-clients ADDRESS PORT COUNT
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

interface Session {
  readonly send: (line: string) => void;
  server: string;
  asked: number;
  answered: number;
  closed: boolean;
}

const [address = '', port = '0', count = '0'] = process.argv.slice(2);
const sessions: Session[] = [];

await open(Number(count));
report();
for await (const line of createInterface({ input: process.stdin })) {
  const [command = '', argument = '0'] = line.split(' ');
  if (command === 'open') await open(Number(argument));
  if (command === 'ask') {
    for (const session of sessions.filter(({ closed }) => !closed)) {
      session.asked += 1;
      session.send(`line ${session.asked}\n`);
    }
  }
  if (command === 'ask' || command === 'await') await settle(Number(argument) * 1000);
  report();
}
process.exit();

/** One after the other, so that the scheduler's order can be foretold; each learns who serves it. */
async function open(more: number): Promise<void> {
  for (let i = 0; i < more; i += 1) await openOne();
}

function openOne(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: Number(port) });
    socket.setNoDelay(true);
    const session: Session = {
      send: (line) => socket.write(line),
      server: '',
      asked: 1,
      answered: 0,
      closed: false,
    };
    sessions.push(session);
    socket.on('connect', () => {
      session.send('line 1\n');
    });
    createInterface({ input: socket }).on('line', (line) => {
      const [server = '', , number] = line.split(' ');
      session.server = server;
      session.answered = Number(number);
      resolve();
    });
    // 'close' follows and is counted
    socket.on('error', () => undefined);
    socket.on('close', () => {
      session.closed = true;
      resolve();
    });
  });
}

async function settle(milliseconds: number): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (sessions.some(waits) && performance.now() < deadline) await pause(10);
}

function waits({ asked, answered, closed }: Session): boolean {
  return !closed && answered < asked;
}

function report(): void {
  const answered: Record<string, number> = {};
  for (const session of sessions) {
    if (session.closed || waits(session)) continue;
    answered[session.server] = (answered[session.server] ?? 0) + 1;
  }
  const waiting = sessions.filter(waits).length;
  const closed = sessions.filter((session) => session.closed).length;
  process.stdout.write(`${JSON.stringify({ answered, waiting, closed })}\n`);
}
