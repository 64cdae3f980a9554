/**
 * Answers every datagram with its own name and the datagram.
 * usage: udp-echo ADDRESS PORT NAME
 */
import { createSocket } from 'node:dgram';

const [address = '', port = '0', name = ''] = process.argv.slice(2);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
socket.on('message', (message, peer) => {
  socket.send(`${name} ${message.toString()}`, peer.port, peer.address);
});
socket.bind(Number(port), address, () => {
  process.stdout.write('ready\n');
});
