/**
 * The command of `fallbackcommand=`: told `start` when a virtual service has lost its last real server and `stop` when
 * it has one, once for each change. Runs follow one another, so that a quick stop never overtakes its start. When the service ends, what was
 * started is stopped: nobody would do it later.
 */
import type { Virtual } from '../config/model.ts';
import { formatEndpoint } from '../util/ip.ts';
import type { Shell } from './command.ts';

export interface FallbackCommandParts {
  readonly shell: Shell;
  log(message: string): void;
}

export class FallbackCommand {
  readonly #parts: FallbackCommandParts;
  #said: 'start' | 'stop' | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: FallbackCommandParts) {
    this.#parts = parts;
  }

  say(word: 'start' | 'stop', virtual: Virtual): void {
    if (virtual.fallbackcommand === undefined || word === this.#said) return;
    this.#said = word;
    const line = `${virtual.fallbackcommand} ${word} ${argumentsOf(virtual)}`;
    this.#running = this.#running.then(() => this.#run(line));
  }

  /** The service is no more. */
  end(virtual: Virtual): void {
    if (this.#said === 'start') this.say('stop', virtual);
  }

  /** Resolves when everything that was said so far is done. */
  get done(): Promise<void> {
    return this.#running;
  }

  async #run(line: string): Promise<void> {
    const { status, detail } = await this.#parts.shell(line);
    if (status !== 0) this.#parts.log(`system(${line}) failed: ${detail}`);
  }
}

function argumentsOf({ service }: Virtual): string {
  if (service.kind === 'fwmark') return ':0 fwm';
  return `${formatEndpoint(service.address, service.port)} ${service.protocol}`;
}
