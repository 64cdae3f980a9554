/** What becomes of the web servers of a lab as the titles of recorded steps tell it: `rs1 down`, `all up`, `rs1 404`. */
import { serversIn, type Condition } from '../../monitor/step-title.ts';
import type { WebServer } from './web-server.ts';

export interface Fate {
  readonly server: WebServer;
  readonly condition: Condition;
}

const page = 'index.html';

export class ServerFates {
  readonly #servers: readonly WebServer[];
  readonly #changed: (server: WebServer, well: boolean) => void;
  readonly #conditions = new Map<WebServer, Condition>();

  /** @param changed is told what became of a server, for checks that do not ask itself */
  constructor(servers: readonly WebServer[], changed: (server: WebServer, well: boolean) => void) {
    this.#servers = servers;
    this.#changed = changed;
    for (const server of servers) server.write(page, 'Test Page\n');
  }

  /** What a title says; nothing when it does not speak of servers. */
  toldBy(title: string): readonly Fate[] {
    const told = serversIn(title);
    return this.#servers.flatMap((server) => {
      const condition = told.get(server.name);
      return condition === undefined ? [] : [{ server, condition }];
    });
  }

  /** Makes it so, for all at once. */
  async fulfil(fates: readonly Fate[], title: string): Promise<void> {
    await Promise.all(fates.map((fate) => this.#fulfil(fate, title)));
  }

  async allWell(): Promise<void> {
    await this.fulfil(
      this.#servers.map((server) => ({ server, condition: 'well' })),
      '',
    );
  }

  async #fulfil({ server, condition }: Fate, title: string): Promise<void> {
    const previous = this.#conditions.get(server) ?? 'well';
    if (previous === condition) return;
    this.#conditions.set(server, condition);
    this.#changed(server, condition === 'well');
    if (previous === 'hangs') server.resume();
    if (previous === 'down' || previous === 'blinks') await server.start();
    switch (condition) {
      case 'well':
        server.write(page, 'Test Page\n');
        break;
      case 'ill':
        if (title.includes('404')) server.remove(page);
        else server.write(page, 'Other\n');
        break;
      case 'hangs':
        server.hang();
        break;
      case 'down':
      case 'blinks':
        await server.kill();
    }
  }
}
