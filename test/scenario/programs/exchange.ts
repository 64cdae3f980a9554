/**
 * Two programs that give each other a file: what one sends, the other gets. Each prints `ready` (the server), and `got BYTES
 * SHA256` for each whole file. TCP: a file ends with its sender's half of the connection. UDP: every datagram is a number and a
 * piece of the file, answered by the same piece of the other's file; the last number ends it.
 * usage: exchange serve|send tcp|udp ADDRESS PORT FILE
 */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { Socket as Datagrams } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import type { Socket } from 'node:net';

const [role = '', protocol = '', address = '', portText = '', path = ''] = process.argv.slice(2);
const port = Number(portText);
const file = readFileSync(path);

/** Bytes of the file in a datagram. */
const pieceLength = 1200;
/** Milliseconds until a datagram that was not answered is sent again, and how often. */
const patience = 500;
const attempts = 6;
/** Datagrams that are under way at a time. */
const together = 16;
const last = 0xffffffff;

if (role === 'serve') await (protocol === 'tcp' ? serveTcp() : serveUdp());
else await (protocol === 'tcp' ? sendTcp() : sendUdp());

function got(bytes: Buffer): void {
  process.stdout.write(`got ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}\n`);
}

function whole(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => pieces.push(piece));
    socket.on('end', () => {
      resolve(Buffer.concat(pieces));
    });
    socket.on('error', reject);
  });
}

async function serveTcp(): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void whole(socket).then(
      (bytes) => {
        got(bytes);
        socket.end(file);
      },
      (error: unknown) => process.stdout.write(`lost ${String(error)}\n`),
    );
  });
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
  process.stdout.write('ready\n');
}

async function sendTcp(): Promise<void> {
  const socket = connect({ host: address, port, allowHalfOpen: true });
  const answer = whole(socket);
  socket.end(file);
  got(await answer);
}

function piece(number: number): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(number);
  return Buffer.concat([head, file.subarray(number * pieceLength, (number + 1) * pieceLength)]);
}

async function serveUdp(): Promise<void> {
  const socket = createSocket(family());
  const pieces: Buffer[] = [];
  socket.on('message', (message, peer) => {
    const number = message.readUInt32BE();
    if (number !== last) pieces[number] = message.subarray(4);
    else if (pieces.length > 0) got(Buffer.concat(pieces.splice(0)));
    socket.send(piece(number), peer.port, peer.address);
  });
  await bound(socket, port, address);
  process.stdout.write('ready\n');
}

async function sendUdp(): Promise<void> {
  const socket = createSocket(family());
  await new Promise<void>((resolve) => {
    socket.connect(port, address, resolve);
  });
  socket.setMaxListeners(2 * together);
  const pieces: Buffer[] = [];
  while (pieces.at(-1)?.length !== 0 || pieces.length * pieceLength < file.length) {
    const numbers = Array.from({ length: together }, (_, i) => pieces.length + i);
    pieces.push(...(await Promise.all(numbers.map((number) => exchanged(socket, number)))));
  }
  await exchanged(socket, last);
  socket.close();
  got(Buffer.concat(pieces));
}

async function exchanged(socket: Datagrams, number: number): Promise<Buffer> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const answer = new Promise<Buffer | undefined>((resolve, reject) => {
      const done = (message?: Buffer): void => {
        if (message !== undefined && message.readUInt32BE() !== number) return;
        clearTimeout(timer);
        socket.off('message', done);
        socket.off('error', reject);
        resolve(message?.subarray(4));
      };
      const timer = setTimeout(done, patience);
      socket.on('message', done);
      socket.on('error', reject);
    });
    socket.send(piece(number));
    const bytes = await answer;
    if (bytes !== undefined) return bytes;
  }
  throw new Error(`no answer to datagram ${number}`);
}

function family(): 'udp4' | 'udp6' {
  return address.includes(':') ? 'udp6' : 'udp4';
}

function bound(socket: Datagrams, onPort: number, onAddress: string): Promise<void> {
  return new Promise((resolve) => {
    socket.bind(onPort, onAddress, resolve);
  });
}
