/** Clients that talk all the time, through something that must not disturb them. */
import { waitFor, type Lab, type Program } from './lab.ts';
import type { Talks } from './programs/talking-clients.ts';

export type { Talks };

export class TalkingClients {
  readonly #clients: Program;

  private constructor(clients: Program) {
    this.#clients = clients;
  }

  /** Starts the servers that {@link open} talks to: on this port of all real servers. */
  static async serve(lab: Lab, port: number): Promise<void> {
    const servers = lab.servers.map(({ host, name }) => lab.helper(host, 'echo-server', port, name));
    await waitFor('the echo servers', 10, () => servers.every((server) => server.lines()[0] === 'ready'));
  }

  /** @param pause milliseconds between an answer and the next line. @returns when all of them have been answered once */
  static async open(lab: Lab, port: number, count: number, pause: number): Promise<TalkingClients> {
    const program = lab.helper(lab.client, 'talking-clients', lab.vip, port, count, pause);
    await waitFor(
      `${count} sessions`,
      30,
      () => program.lines()[0],
      () => program.stderr,
    );
    return new TalkingClients(program);
  }

  /** What has come of them; counts are of the time since it was last asked. */
  async ask(): Promise<Talks> {
    const before = this.#clients.lines().length;
    this.#clients.write('\n');
    const line = await waitFor(
      'a report',
      10,
      () => this.#clients.lines()[before],
      () => this.#clients.stderr,
    );
    return JSON.parse(line) as Talks;
  }
}
