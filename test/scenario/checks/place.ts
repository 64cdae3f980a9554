/** Where one test of a check has its server: a folder that every user may enter, and ports of the loopback interface that nobody has. */
import { createSocket } from 'node:dgram';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { waitFor } from '../../support/until.ts';
import { Host } from '../lab/host.ts';
import type { Finished, Program } from '../lab/program.ts';

export class Place {
  readonly directory: string;
  readonly #running = new Set<Program>();
  readonly #host: Host;

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'directord-check-'));
    chmodSync(this.directory, 0o755);
    this.#host = new Host('this machine', undefined, {
      env: process.env,
      prefix: [],
      running: this.#running,
    });
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** @param name relative to the directory; folders on the way are made. @returns its path */
  write(name: string, text: string): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** A port that is free on 127.0.0.1 and ::1, for TCP and for UDP. */
  async freePort(): Promise<number> {
    for (;;) {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(0, '::', resolve);
      });
      const { port } = server.address() as AddressInfo;
      const free = await isFreeForUdp(port);
      await new Promise((resolve) => server.close(resolve));
      if (free) return port;
    }
  }

  /** Starts a program that stays in the foreground. It is ended with the place. */
  start(argv: readonly string[]): Program {
    return this.#host.start(argv);
  }

  /** The same, and waits until it takes TCP connections on the port of 127.0.0.1. */
  async serve(argv: readonly string[], port: number): Promise<Program> {
    const program = this.start(argv);
    await this.untilListening(program, port);
    return program;
  }

  async untilListening(program: Program, port: number): Promise<void> {
    await waitFor(`${program.command} to listen on port ${port}`, 30, async () => {
      if (program.finished !== undefined)
        throw new Error(`${program.command} ended: ${program.stdout}${program.stderr}`);
      return (await this.run(['bash', '-c', `: </dev/tcp/127.0.0.1/${port}`])).code === 0;
    });
  }

  run(argv: readonly string[], input = ''): Promise<Finished> {
    return this.#host.run(argv, { input });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((program) => program.stop()));
    rmSync(this.directory, { recursive: true });
  }
}

async function isFreeForUdp(port: number): Promise<boolean> {
  const socket = createSocket('udp6');
  try {
    return await new Promise((resolve) => {
      socket.once('error', () => {
        resolve(false);
      });
      socket.bind(port, '::', () => {
        resolve(true);
      });
    });
  } finally {
    socket.close();
  }
}
