/**
 * Sends one datagram from each of so many sockets and prints, for each, a JSON line with the answer and who sent it.
 * usage: udp-client ADDRESS PORT SOCKETS DATAGRAMS-A-SOCKET
 */
import { createSocket } from 'node:dgram';

const [address = '', port = '0', sockets = '1', datagrams = '1'] = process.argv.slice(2);
const limit = 2000;

for (let i = 0; i < Number(sockets); i += 1) await oneClient(i);

async function oneClient(number: number): Promise<void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  for (let i = 0; i < Number(datagrams); i += 1) {
    const answer = await new Promise<object>((resolve) => {
      const timer = setTimeout(() => {
        resolve({ client: number, lost: true });
      }, limit);
      socket.once('message', (message, peer) => {
        clearTimeout(timer);
        resolve({ client: number, text: message.toString(), from: peer.address, port: peer.port });
      });
      socket.send(`hello ${number}.${i}`, Number(port), address);
    });
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  socket.close();
}
