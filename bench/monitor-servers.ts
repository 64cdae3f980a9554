/**
 * The real servers of monitor.ts: every address of the loopback network on three ports. On end of input it prints, as JSON, how often they
 * were asked since the last line of input, and how late: time since the last check of the same server ended, less the interval.
 * usage: monitor-servers INTERVAL-SECONDS HTTP-PORT CONNECT-PORT LINE-PORT
 */
import { createServer, type Socket } from 'node:net';

export interface Asked {
  readonly asks: number;
  /** Milliseconds, ascending. */
  readonly lateness: readonly number[];
}

const [interval = 0, httpPort, connectPort, linePort] = process.argv.slice(2).map(Number);
const body = `<html><body>${'<p>Everything as usual.</p>\n'.repeat(40)}Status: all 17 of 17 parts are well</body></html>\n`;
const page = `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;

/** When the last check of each server ended; undefined while it is asked. */
const ended = new Map<string, number | undefined>();
let lateness: number[] = [];
let asks = 0;

function listen(port: number | undefined, serve: (socket: Socket) => void): void {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const name = `${socket.localAddress ?? ''}:${socket.localPort ?? 0}`;
    const last = ended.get(name);
    if (last !== undefined) lateness.push(performance.now() - last - interval * 1000);
    ended.set(name, undefined);
    asks += 1;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => ended.set(name, performance.now()));
    socket.on('end', () => socket.end());
    serve(socket);
  });
  server.listen({ port, host: '0.0.0.0', backlog: 4096 });
}

listen(httpPort, (socket) => socket.once('data', () => socket.end(page)));
listen(connectPort, (socket) => socket.resume());
listen(linePort, (socket) => socket.once('data', () => socket.end('100 ready\n200 all is well\n')));

process.stdin.on('data', () => {
  asks = 0;
  lateness = [];
});
process.stdin.on('end', () => {
  const asked: Asked = { asks, lateness: lateness.toSorted((a, b) => a - b) };
  process.stdout.write(`${JSON.stringify(asked)}\n`, () => process.exit());
});
