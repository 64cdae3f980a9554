/**
 * A web server that is well, and prints when it was asked: milliseconds of this machine's monotonic clock, one a line.
 * usage: check-times ADDRESS PORT
 */
import { createServer } from 'node:http';

const [address = '', port = '0'] = process.argv.slice(2);

const server = createServer((_request, response) => {
  response.end('OK\n');
});
// When the check came, not when Node had read it all.
server.on('connection', () => {
  process.stdout.write(`${Number(process.hrtime.bigint() / 1000n) / 1000}\n`);
});
server.listen(Number(port), address, () => {
  process.stdout.write('ready\n');
});
