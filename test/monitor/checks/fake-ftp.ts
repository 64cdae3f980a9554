/** A fake FTP server with one file (RFC 959). */
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { Talk } from './heard.ts';
import { lines } from './heard.ts';
import type { Exchange } from './recorded-services.ts';

/** The recorded reply to each command, with data connections of its own. */
export function ftpTalk(exchange: Exchange, mode: string): Talk {
  return async (socket) => {
    const servers: Server[] = [];
    const connections: Socket[] = [];
    let data: Promise<Socket> | undefined;
    socket.write('220 fake\r\n');
    try {
      for await (const line of lines(socket)) {
        const [verb = '', argument = ''] = line.toString('latin1').trim().split(' ');
        if (verb === 'PASV') {
          const server = createServer((connection) => connections.push(connection)).listen(0, '127.0.0.1');
          servers.push(server);
          data = once(server, 'connection').then(([connection]) => connection as Socket);
          await once(server, 'listening');
          socket.write(`227 Entering Passive Mode (127,0,0,1,${portAsTwo(server)})\r\n`);
        } else if (verb === 'PORT') {
          const [high = 0, low = 0] = argument.split(',').slice(4).map(Number);
          const connection = connect(high * 256 + low, '127.0.0.1');
          connections.push(connection);
          data = Promise.resolve(connection);
          socket.write('200 ok\r\n');
        } else if (verb === 'RETR' && mode !== 'nofile') {
          socket.write('150 here it is\r\n');
          (await data)?.end('this is a test\n');
          socket.write('226 done\r\n');
        } else {
          socket.write(replyTo(verb, exchange) ?? (verb === 'QUIT' ? '221 bye\r\n' : '550 no file\r\n'));
        }
      }
    } finally {
      for (const server of servers) server.close();
      for (const connection of connections) connection.destroy();
    }
  };
}

function replyTo(verb: string, exchange: Exchange): Buffer | undefined {
  const asked = exchange.findIndex(
    ({ from, bytes }) => from === 'client' && bytes.toString().startsWith(verb),
  );
  const reply = asked < 0 ? undefined : exchange[asked + 1];
  return reply?.from === 'server' ? reply.bytes : undefined;
}

function portAsTwo(server: Server): string {
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return `${port >> 8},${port & 255}`;
}
