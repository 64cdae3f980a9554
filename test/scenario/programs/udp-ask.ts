/**
 * Sends each text as a datagram, each from a socket of its own, and prints a JSON line with the answer and who sent it, or `lost`.
 * usage: udp-ask ADDRESS PORT TEXT...
 */
import { createSocket } from 'node:dgram';

const [address = '', port = '0', ...texts] = process.argv.slice(2);
/** Milliseconds. */
const patience = 1000;

for (const text of texts) process.stdout.write(`${JSON.stringify(await ask(text))}\n`);

function ask(text: string): Promise<object> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  return new Promise<object>((resolve) => {
    const timer = setTimeout(() => {
      resolve({ lost: true });
    }, patience);
    socket.once('message', (message, peer) => {
      clearTimeout(timer);
      resolve({ text: message.toString(), from: peer.address, port: peer.port });
    });
    socket.send(text, Number(port), address);
  }).finally(() => socket.close());
}
