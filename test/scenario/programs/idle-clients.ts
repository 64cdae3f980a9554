/**
 * Opens many TCP connections and keeps them silent, then on `ask` sends one HTTP request on each. Prints one JSON line
 * after opening and one after asking.
 * usage: idle-clients ADDRESS PORT COUNT
 */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const [address = '', port = '0', count = '0'] = process.argv.slice(2);
const atOnce = 100;
const sockets: Socket[] = [];
let closed = 0;
let refused = 0;

for (let open = 0; open < Number(count); open += atOnce) {
  await Promise.all(Array.from({ length: Math.min(atOnce, Number(count) - open) }, openOne));
}
report({ open: sockets.length, refused });

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'count') report({ open: sockets.length - closed, closed });
  if (line === 'ask') {
    let answered = 0;
    for (let i = 0; i < sockets.length; i += atOnce) {
      const answers = await Promise.all(sockets.slice(i, i + atOnce).map(askOne));
      answered += answers.filter(Boolean).length;
    }
    report({ answered, closed });
  }
}
for (const socket of sockets) socket.destroy();

function openOne(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: Number(port) });
    let isOpen = false;
    socket.on('connect', () => {
      isOpen = true;
      sockets.push(socket);
      resolve();
    });
    // 'close' follows and is counted
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (isOpen) closed += 1;
      else refused += 1;
      resolve();
    });
  });
}

function askOne(socket: Socket): Promise<boolean> {
  if (socket.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    socket.once('data', (data) => {
      resolve(data.toString('latin1').startsWith('HTTP/1.1 200'));
    });
    socket.once('close', () => {
      resolve(false);
    });
    socket.write('GET / HTTP/1.1\r\nHost: lab\r\n\r\n');
  });
}

function report(counts: Readonly<Record<string, number>>): void {
  process.stdout.write(`${JSON.stringify(counts)}\n`);
}
