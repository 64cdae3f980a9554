/**
 * Simpletcp check: say the request, and be up as soon as one line of the answer matches. The sending side is closed
 * after the request, because simple servers answer at the end of their input. With protocol udp it is one datagram.
 */
import { createSocket } from 'node:dgram';
import { on } from 'node:events';
import type { Socket } from 'node:net';
import type { CheckSettings } from '../../config/model.ts';
import { familyOf } from '../../util/ip.ts';
import type { Ask, Verdict } from './ask.ts';
import { answerLimitBytes, down, received, up } from './ask.ts';
import { withSocket } from './open-socket.ts';

export const checkSimpletcp: Ask = (settings, signal, parts) => {
  if (settings.protocol === 'udp') return overUdp(settings, signal, parts);
  return withSocket(settings, signal, undefined, (socket) => talk(socket, settings, signal, parts));
};

async function talk(socket: Socket, ...[settings, signal, parts]: Parameters<Ask>): Promise<Verdict> {
  socket.setEncoding('utf8');
  socket.end(requestText(settings));
  let length = 0;
  let rest = '';
  for await (const chunk of socket as AsyncIterable<string>) {
    length += chunk.length;
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    const line = await received(settings, lines, signal, parts);
    if (line !== undefined) return up(line.trim());
    if (length > answerLimitBytes) return down(`no match in the first ${answerLimitBytes} bytes`);
  }
  const last = rest === '' ? undefined : await received(settings, [rest], signal, parts);
  if (last !== undefined) return up(last.trim());
  return down(length === 0 ? 'no answer' : `no line of the answer matches "${settings.receive?.text ?? ''}"`);
}

async function overUdp(...[settings, signal, parts]: Parameters<Ask>): Promise<Verdict> {
  const { address, port } = settings;
  if (port === 0) return down('no port to connect to');
  const socket = createSocket(familyOf(address) === 'inet' ? 'udp4' : 'udp6');
  try {
    const answers = on(socket, 'message', { signal }) as AsyncIterable<[Buffer]>;
    socket.connect(port, address, () => {
      socket.send(requestText(settings));
    });
    for await (const [answer] of answers) {
      const lines = answer.toString('utf8').split('\n');
      const line = await received(settings, lines, signal, parts);
      if (line !== undefined) return up(line.trim());
    }
    return down('no answer');
  } finally {
    socket.close();
  }
}

/** The leading slash is the parser's; the two characters `\n` stand for a newline. */
function requestText({ request }: CheckSettings): string {
  return request.replace(/^\//, '').replaceAll('\\n', '\n');
}
