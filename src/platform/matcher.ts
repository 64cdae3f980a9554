/**
 * Tries regular expressions in threads of their own: one that backtracks for ever, on an answer that nobody foresaw, is ended there after
 * a second. From then on it is tried in another thread than the good ones, so that they wait for it once only.
 */
import { Worker } from 'node:worker_threads';

const patienceMilliseconds = 1000;

/** A pattern without these is looked for as it stands. */
const special = /[\\^$.*+?()[\]{}|]/;

const threadSource = `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', ({ id, pattern, texts }) => {
  parentPort.postMessage({ id, index: texts.findIndex((text) => pattern.test(text)) });
});
`;

class TookTooLong extends Error {}

/** Its pattern has shown what it is while it waited: it is to be tried where the bad ones are. */
class NotHere extends Error {}

interface Question {
  readonly id: number;
  readonly pattern: RegExp;
  readonly texts: readonly string[];
  readonly settle: (index: number | Error) => void;
}

/** What is looked for: as an operator wrote it, and what means the same here. */
export interface Wanted {
  readonly text: string;
  readonly pattern: RegExp;
}

/** @returns `find`: the first text that matches; rejects when that takes longer than a second, or than the signal allows */
export function createMatcher(): (
  wanted: Wanted,
  texts: readonly string[],
  signal: AbortSignal,
) => Promise<string | undefined> {
  const [good, bad] = [new MatchingThread(), new MatchingThread()];
  const tookTooLong = new Set<string>();
  const find = async (
    wanted: Wanted,
    texts: readonly string[],
    signal: AbortSignal,
  ): Promise<string | undefined> => {
    signal.throwIfAborted();
    const { pattern } = wanted;
    if (!special.test(pattern.source) && pattern.flags === '')
      return texts.find((text) => text.includes(pattern.source));
    const thread = tookTooLong.has(String(pattern)) ? bad : good;
    try {
      const index = await thread.ask(pattern, texts, signal);
      return texts[index];
    } catch (error) {
      if (error instanceof NotHere) return find(wanted, texts, signal);
      if (!(error instanceof TookTooLong)) throw error;
      if (thread === good) {
        tookTooLong.add(String(pattern));
        good.sendAway(pattern);
      }
      throw new Error(`looking for "${wanted.text}" took longer than ${patienceMilliseconds / 1000} s`);
    }
  };
  return find;
}

/** One question at a time: so the one that takes long is known. */
class MatchingThread {
  #thread: Worker | undefined;
  #nextId = 0;
  readonly #waiting: Question[] = [];
  #asked: Question | undefined;
  #patience: NodeJS.Timeout | undefined;

  /** @returns the index of the first text that matches, or -1 */
  ask(pattern: RegExp, texts: readonly string[], signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const abort = (): void => {
        this.#giveUp(id, signal.reason as Error);
      };
      signal.addEventListener('abort', abort, { once: true });
      const settle = (index: number | Error): void => {
        signal.removeEventListener('abort', abort);
        if (index instanceof Error) reject(index);
        else resolve(index);
      };
      this.#waiting.push({ id, pattern, texts, settle });
      this.#next();
    });
  }

  /** Who waits with this pattern is told {@link NotHere}: a hundred servers may be asked for the same. */
  sendAway(pattern: RegExp): void {
    // last the one that is asked by now, because the next in the queue takes its place
    const all = [...this.#waiting, ...(this.#asked === undefined ? [] : [this.#asked])];
    for (const question of all)
      if (String(question.pattern) === String(pattern)) this.#giveUp(question.id, new NotHere());
  }

  #next(): void {
    if (this.#asked !== undefined) return;
    const asked = this.#waiting.shift();
    this.#asked = asked;
    if (asked === undefined) return;
    const { id, pattern, texts } = asked;
    this.#thread ??= this.#start();
    this.#thread.postMessage({ id, pattern, texts });
    this.#patience = setTimeout(() => {
      this.#giveUp(id, new TookTooLong());
    }, patienceMilliseconds);
  }

  #start(): Worker {
    const thread = new Worker(threadSource, { eval: true });
    thread.on('message', ({ id, index }: { id: number; index: number }) => {
      if (this.#asked?.id === id) this.#answered(index);
    });
    thread.on('error', (error) => {
      if (this.#thread !== thread) return;
      this.#thread = undefined;
      this.#answered(error);
    });
    // not before: a listener holds the process
    thread.unref();
    return thread;
  }

  #giveUp(id: number, reason: Error): void {
    if (this.#asked?.id === id) {
      void this.#thread?.terminate();
      this.#thread = undefined;
      this.#answered(reason);
      return;
    }
    const index = this.#waiting.findIndex((question) => question.id === id);
    const [question] = index < 0 ? [] : this.#waiting.splice(index, 1);
    question?.settle(reason);
  }

  #answered(index: number | Error): void {
    clearTimeout(this.#patience);
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.settle(index);
    this.#next();
  }
}
