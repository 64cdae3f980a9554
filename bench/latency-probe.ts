/**
 * UDP echo without Node's event loop in the way: both ends wait in the system call. `serve` answers until it is killed;
 * `ask` sends 18 bytes, waits for the answer, again and again, and prints all round trips in microseconds as JSON.
 * usage: latency-probe serve ADDRESS PORT | ask ADDRESS PORT SECONDS
 */
import * as libc from '../src/platform/libc.ts';

const [mode, ...rest] = process.argv.slice(2);
const SO_RCVTIMEO = 20;
const message = Buffer.alloc(2048);
const peer = Buffer.alloc(16);
const peerLength = Buffer.alloc(4);

const fd = libc.socket(libc.AF_INET, libc.SOCK_DGRAM, 0);
const [address = '', port = '', seconds = ''] = rest;
if (mode === 'serve') {
  check('bind', libc.bind(fd, socketAddress(address, Number(port)), 16));
  process.stdout.write('ready\n');
  setImmediate(serve);
} else {
  const patience = new Uint8Array(BigInt64Array.of(1n, 0n).buffer);
  check('SO_RCVTIMEO', libc.setsockopt(fd, libc.SOL_SOCKET, SO_RCVTIMEO, patience, patience.length));
  check('connect', libc.connect(fd, socketAddress(address, Number(port)), 16));
  process.stdout.write(JSON.stringify(ask(Number(seconds))));
}

function serve(): never {
  for (;;) {
    peerLength.writeUInt32LE(16);
    const length = libc.recvfrom(fd, message, message.length, 0, peer, peerLength);
    check('recvfrom', length);
    check('sendto', libc.sendto(fd, message, length, 0, peer, 16));
  }
}

function ask(seconds: number): readonly number[] {
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  let sent = 0;
  while (sent < end) {
    sent = performance.now();
    check('send', libc.send(fd, message, 18, 0));
    check('recv', libc.recv(fd, message, message.length, 0));
    times.push((performance.now() - sent) * 1000);
  }
  return times;
}

function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(libc.AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split('.').map(Number), 4);
  return bytes;
}

function check(what: string, result: number): void {
  if (result < 0) throw new Error(`${what}: ${libc.errorText(libc.errno())}`);
}
