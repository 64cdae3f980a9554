/**
 * Sessions with echo-server that never stop talking: each sends a line with its next number as soon as the one before was answered,
 * after a pause. Every answer must be of the server that gave the first one, and of the line that was sent. Prints a line of JSON when
 * all are open, and then for each line of standard input: what has come of them, and of `exchanged` and `slowest` since the last one.
 * usage: talking-clients ADDRESS PORT COUNT MILLISECONDS
 */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** What {@link report} prints. */
export interface Talks {
  /** Server -> sessions with it that are open. */
  readonly servers: Readonly<Record<string, number>>;
  /** Sessions that ended, or never began. */
  readonly closed: number;
  /** Answers of another server than the session's. */
  readonly misrouted: number;
  /** Answers to another line than the one that was sent. */
  readonly wrong: number;
  /** Answers. */
  readonly exchanged: number;
  /** Sessions that got no answer. */
  readonly silent: number;
  /** Milliseconds that the slowest answer took, or has taken until now. */
  readonly slowest: number;
}

const [address = '', port = '0', count = '0', interval = '100'] = process.argv.slice(2);
const atOnce = 50;

class Session {
  readonly opened: Promise<void>;
  server = '';
  isOpen = true;
  answered = 0;
  readonly #socket: Socket;
  #number = 0;
  #sent = 0;
  #waiting = false;
  #open: () => void = () => undefined;

  constructor() {
    this.opened = new Promise((resolve) => {
      this.#open = resolve;
    });
    this.#socket = connect({ host: address, port: Number(port), noDelay: true }, this.#say);
    // 'close' follows, and is reported
    const ignore = (): void => undefined;
    this.#socket.on('error', ignore);
    createInterface({ input: this.#socket }).on('line', this.#hear).on('error', ignore);
    this.#socket.on('close', () => {
      this.isOpen = false;
      this.#open();
    });
  }

  /** Milliseconds. */
  waits(now: number): number {
    return this.#waiting && this.isOpen ? now - this.#sent : 0;
  }

  readonly #say = (): void => {
    this.#number += 1;
    this.#sent = performance.now();
    this.#waiting = true;
    this.#socket.write(`${this.#number}\n`);
  };

  readonly #hear = (line: string): void => {
    const [server = '', number] = line.split(' ');
    slowest = Math.max(slowest, this.waits(performance.now()));
    this.#waiting = false;
    if (this.server === '') this.server = server;
    if (server !== this.server) misrouted += 1;
    if (Number(number) !== this.#number) wrong += 1;
    this.answered += 1;
    this.#open();
    setTimeout(this.#say, Number(interval));
  };
}

const sessions: Session[] = [];
let misrouted = 0;
let wrong = 0;
let slowest = 0;

while (sessions.length < Number(count)) {
  const more = Array.from({ length: Math.min(atOnce, Number(count) - sessions.length) }, () => new Session());
  sessions.push(...more);
  await Promise.all(more.map(({ opened }) => opened));
}
report();
createInterface({ input: process.stdin })
  .on('line', report)
  .on('close', () => process.exit());

function report(): void {
  const now = performance.now();
  const open = sessions.filter(({ isOpen }) => isOpen);
  const servers: Record<string, number> = {};
  for (const { server } of open) servers[server] = (servers[server] ?? 0) + 1;
  const talks: Talks = {
    servers,
    closed: sessions.length - open.length,
    misrouted,
    wrong,
    exchanged: sessions.reduce((sum, { answered }) => sum + answered, 0),
    silent: open.filter(({ answered }) => answered === 0).length,
    slowest: Math.round(Math.max(slowest, ...open.map((session) => session.waits(now)))),
  };
  process.stdout.write(`${JSON.stringify(talks)}\n`);
  slowest = 0;
  for (const session of sessions) session.answered = 0;
}
