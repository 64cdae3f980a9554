/**
 * A small web server for machines without nginx: serves the files of a folder, and as /client.html who asked.
 * usage: web-server ADDRESS PORT FOLDER
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, dirname, join } from 'node:path';

const [address = '', port = '0', folder = ''] = process.argv.slice(2);
/** The folder is the one of its name, and `www`. */
const name = basename(dirname(folder));
const server = createServer((request, response) => {
  const path = new URL(request.url ?? '/', 'http://server').pathname;
  if (path === '/client.html') {
    response.end(`${name} ${request.socket.remoteAddress ?? ''}\n`);
    return;
  }
  readFile(join(folder, path === '/' ? 'index.html' : path)).then(
    (body) => response.end(body),
    () => response.writeHead(404).end('not found\n'),
  );
});
server.keepAliveTimeout = 600_000;
server.listen(Number(port), address);
