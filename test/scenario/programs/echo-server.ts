/**
 * An interactive server: answers every line with its own name and the line, on every address of the host.
 * usage: echo-server PORT NAME
 */
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const [port = '0', name = ''] = process.argv.slice(2);
const server = createServer((socket) => {
  socket.setNoDelay(true);
  // a client that is gone needs no answer
  socket.on('error', () => undefined);
  createInterface({ input: socket }).on('line', (line) => {
    socket.write(`${name} ${line}\n`);
  });
});
server.listen(Number(port), '::', () => {
  process.stdout.write('ready\n');
});
