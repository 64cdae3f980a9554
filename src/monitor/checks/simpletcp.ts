/**
 * Simpletcp check: say the request, and be up as soon as one line of the answer matches. The sending side is closed
 * after the request, because simple servers answer at the end of their input. With protocol udp it is one datagram.
 */
import { createSocket } from 'node:dgram';
import { on } from 'node:events';
import { connect } from 'node:net';
import type { CheckSettings } from '../../config/model.ts';
import { familyOf } from '../../util/ip.ts';
import type { Ask, Verdict } from './ask.ts';
import { answerLimitBytes, down, up } from './ask.ts';

export const checkSimpletcp: Ask = (settings, signal) => {
  if (settings.port === 0) return Promise.resolve(down('no port to connect to'));
  return settings.protocol === 'udp' ? overUdp(settings, signal) : overTcp(settings, signal);
};

async function overTcp(settings: CheckSettings, signal: AbortSignal): Promise<Verdict> {
  const socket = connect({ host: settings.address, port: settings.port, signal });
  socket.setEncoding('utf8');
  socket.end(requestText(settings));
  let length = 0;
  let rest = '';
  // Leaving the loop destroys the socket.
  for await (const chunk of socket as AsyncIterable<string>) {
    length += chunk.length;
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    const line = lines.find((candidate) => matches(settings, candidate));
    if (line !== undefined) return up(line.trim());
    if (length > answerLimitBytes) return down(`no match in the first ${answerLimitBytes} bytes`);
  }
  if (rest !== '' && matches(settings, rest)) return up(rest.trim());
  return down(length === 0 ? 'no answer' : 'no line of the answer matches');
}

async function overUdp(settings: CheckSettings, signal: AbortSignal): Promise<Verdict> {
  const { address, port } = settings;
  const socket = createSocket(familyOf(address) === 'inet' ? 'udp4' : 'udp6');
  try {
    const answers = on(socket, 'message', { signal }) as AsyncIterable<[Buffer]>;
    socket.connect(port, address, () => {
      socket.send(requestText(settings));
    });
    for await (const [answer] of answers) {
      const line = answer
        .toString('utf8')
        .split('\n')
        .find((candidate) => matches(settings, candidate));
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

function matches({ receive }: CheckSettings, line: string): boolean {
  return receive === undefined || receive.test(line);
}
