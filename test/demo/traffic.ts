/** A client that asks all the time, and what became of its requests. */
import { waitFor, type Lab, type Program } from '../scenario/lab.ts';
import { claim } from './narrator.ts';

export class Traffic {
  /** Milliseconds between two requests. */
  readonly interval = 20;
  readonly #client: Program;

  static async start(lab: Lab): Promise<Traffic> {
    const traffic = new Traffic(lab);
    await waitFor('the client to be served', 10, () => traffic.count() > 0);
    return traffic;
  }

  private constructor(lab: Lab) {
    this.#client = lab.helper(lab.client, 'steady-client', lab.url, this.interval);
  }

  /** Requests that have ended. */
  count(): number {
    return this.#client.lines().length;
  }

  failures(): readonly string[] {
    return this.#client.lines().filter((line) => line.startsWith('FAILED'));
  }

  /** Looks at the next thirty requests: the servers named, all of them and no others, must answer. */
  async claimOnly(names: readonly string[]): Promise<void> {
    // those that were under way when the pool changed are not among the thirty
    const from = this.count() + 5;
    await waitFor('thirty requests', 10, () => this.count() >= from + 30);
    const answers = this.#client.lines().slice(from, from + 30);
    const seen = [...new Set(answers)].sort();
    claim(
      seen.join() === [...names].sort().join(),
      `the next 30 requests went to ${names.join(', ')}`,
      `They went to ${seen.join(', ')}.`,
    );
    claim(
      this.failures().length === 0,
      `${this.count()} requests so far, 0 failed`,
      this.failures().slice(0, 3).join('; '),
    );
  }

  async end(): Promise<void> {
    this.#client.end();
    await this.#client.exited;
  }
}
