/**
 * Questions and answers in UDP datagrams. The socket is connected, so that the kernel passes on what this server sends, and nothing
 * else, and tells when nobody is there (`Connection refused`).
 */
import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { on, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { CheckSettings } from '../../config/model.ts';
import type { Clock, Timer } from '../../util/clock.ts';
import { familyOf } from '../../util/ip.ts';
import { deadlineSeconds } from '../deadline.ts';
import type { CheckerParts, Verdict } from './ask.ts';
import { down } from './ask.ts';
import { errorText } from './error-text.ts';

/** @returns what `talk` says of the server; the socket is closed by then */
export async function withDatagrams(
  settings: CheckSettings,
  signal: AbortSignal,
  { clock }: Pick<CheckerParts, 'clock'>,
  talk: (datagrams: Datagrams) => Promise<Verdict>,
): Promise<Verdict> {
  const { address, port } = settings;
  if (port === 0) return down('no port to connect to');
  const socket = createSocket(familyOf(address) === 'inet' ? 'udp4' : 'udp6');
  // whoever waits for an answer is told; without this, the process would be
  socket.on('error', () => undefined);
  const datagrams = new Datagrams(socket, signal, clock, (deadlineSeconds(settings) * 1000) / 3);
  try {
    socket.connect(port, address);
    await once(socket, 'connect', { signal });
    return await talk(datagrams);
  } catch (error) {
    const { ignored } = datagrams;
    if (!signal.aborted || ignored === undefined) throw error;
    return down(`${errorText(signal.reason)}, ignored: ${ignored}`);
  } finally {
    socket.close();
  }
}

export class Datagrams {
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  readonly #patience: number;
  #ignored: string | undefined;

  /** @param patience milliseconds without an answer after which a question is asked again: datagrams get lost */
  constructor(socket: Socket, signal: AbortSignal, clock: Clock, patience: number) {
    this.#socket = socket;
    this.#signal = signal;
    this.#clock = clock;
    this.#patience = patience;
  }

  /** Why the last datagram that was no answer was none. */
  get ignored(): string | undefined {
    return this.#ignored;
  }

  /** Our end. */
  get local(): AddressInfo {
    return this.#socket.address();
  }

  /** @param read makes an answer of a datagram. One for which it throws is ignored, as anybody may have sent it. */
  async ask<Answer>(question: string | Uint8Array, read: (datagram: Buffer) => Answer): Promise<Answer> {
    let repetition: Timer | undefined;
    const send = (): void => {
      this.#socket.send(question, (error) => {
        if (error) this.#socket.emit('error', error);
      });
      repetition = this.#clock.after(this.#patience, send);
    };
    try {
      const heard = on(this.#socket, 'message', { signal: this.#signal }) as AsyncIterable<[Buffer]>;
      send();
      for await (const [datagram] of heard) {
        try {
          return read(datagram);
        } catch (error) {
          this.#ignored = errorText(error);
        }
      }
      throw new Error('no answer');
    } finally {
      repetition?.cancel();
    }
  }
}
