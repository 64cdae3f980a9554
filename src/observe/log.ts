/**
 * The daemon's log: a pino logger whose lines go to one exchangeable sink. A sink that fails is reported once through
 * `complain` and tried again with every later line; a lost line never costs more than the line.
 */
import { pino } from 'pino';

/** What the rest of the program writes to. Messages are single lines without a time stamp, in ldirectord's words. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export interface LogRecord {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  /** The line as pino wrote it, with its newline. */
  readonly json: string;
}

/** Takes one line. @throws when it can not be written */
export type LogSink = (record: LogRecord) => void;

export interface LogOptions {
  readonly sink: LogSink;
  /** Debug lines are dropped unless this is set. */
  readonly debug?: boolean;
  /** Tells a person that the log does not work. */
  complain(message: string): void;
}

const levelNames = new Map<number, LogRecord['level']>([
  [20, 'debug'],
  [30, 'info'],
  [40, 'warn'],
  [50, 'error'],
]);
const wantsMetadata = Symbol.for('pino.metadata');

export class DaemonLog implements Log {
  readonly #pino;
  readonly #complain: (message: string) => void;
  #sink: LogSink;
  #failing = false;

  constructor(options: LogOptions) {
    this.#sink = options.sink;
    this.#complain = (message) => {
      options.complain(message);
    };
    // With this symbol pino fills in level and message of a line before it calls write.
    const destination = {
      [wantsMetadata]: true,
      lastLevel: 30,
      lastMsg: '',
      write: (json: string): void => {
        this.#write({
          level: levelNames.get(destination.lastLevel) ?? 'info',
          message: destination.lastMsg,
          json,
        });
      },
    };
    this.#pino = pino({ base: { pid: process.pid }, level: options.debug ? 'debug' : 'info' }, destination);
  }

  debug(message: string): void {
    this.#pino.debug(message);
  }

  info(message: string): void {
    this.#pino.info(message);
  }

  warn(message: string): void {
    this.#pino.warn(message);
  }

  error(message: string): void {
    this.#pino.error(message);
  }

  /** From now on lines go there: a reload named another file. */
  redirect(sink: LogSink): void {
    this.#sink = sink;
    this.#failing = false;
  }

  #write(record: LogRecord): void {
    try {
      this.#sink(record);
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#complain(`cannot write the log: ${(error as Error).message}`);
      this.#failing = true;
    }
  }
}
