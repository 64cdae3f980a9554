/**
 * A real server of the lab: nginx with a configuration and folder of its own, or a few lines of Node where nginx is not
 * installed. Its front page is its name, /client.html who asked; /test.html is what health checks ask for; nginx keeps what is PUT below
 * /upload/.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from './host.ts';
import { helper, which } from './paths.ts';
import type { Program } from './program.ts';
import { waitFor } from '../../support/until.ts';

export interface Addresses {
  readonly address: string;
  readonly port: number;
  /** Absent in the loopback lab. */
  readonly address6?: string;
  /** More that it listens on. */
  readonly more?: readonly string[];
  /** A second port, on all of them. */
  readonly secondPort?: number;
}

export class WebServer {
  readonly name: string;
  readonly host: Host;
  readonly address: string;
  readonly address6: string | undefined;
  readonly port: number;
  /** Document root. */
  readonly folder: string;
  readonly #directory: string;
  readonly #listen: readonly string[];
  readonly #openFiles: number;
  #program: Program | undefined;

  /** @param directory of its own, created here. @param openFiles the most that its process may have open */
  constructor(host: Host, addresses: Addresses, directory: string, openFiles: number) {
    this.name = host.name;
    this.host = host;
    this.address = addresses.address;
    this.address6 = addresses.address6;
    this.port = addresses.port;
    this.folder = join(directory, 'www');
    const { address6 = [], more = [], port, secondPort = [] } = addresses;
    const hosts = [addresses.address, address6, more]
      .flat()
      .map((one) => (one.includes(':') ? `[${one}]` : one));
    this.#listen = [port, secondPort].flat().flatMap((port) => hosts.map((one) => `${one}:${port}`));
    this.#directory = directory;
    this.#openFiles = openFiles;
    mkdirSync(this.folder, { recursive: true });
    this.write('index.html', `${this.name}\n`);
    this.write('test.html', 'OK\n');
  }

  /** Address and port, as a configuration file names it. */
  get endpoint(): string {
    return `${this.address}:${this.port}`;
  }

  write(page: string, text: string): void {
    writeFileSync(join(this.folder, page), text);
  }

  remove(page: string): void {
    rmSync(join(this.folder, page));
  }

  async start(): Promise<void> {
    const nginx = which('nginx');
    const program = this.host.start(
      nginx === undefined
        ? [process.execPath, helper('web-server'), this.address, String(this.port), this.folder]
        : [
            nginx,
            '-p',
            this.#directory,
            '-c',
            this.#writeConfiguration(),
            '-e',
            join(this.#directory, 'log'),
          ],
    );
    this.#program = program;
    await waitFor(`${this.name} to listen on ${this.endpoint}`, 10, async () => {
      if (program.finished !== undefined) throw new Error(`${this.name} ended: ${program.finished.stderr}`);
      const probe = await this.host.run(['bash', '-c', `: </dev/tcp/${this.address}/${this.port}`]);
      return probe.code === 0;
    });
  }

  /** As a power cut would: without a word to anybody. */
  async kill(): Promise<void> {
    await this.#program?.stop('SIGKILL');
  }

  /** From now on it takes connections and says nothing. */
  hang(): void {
    this.#program?.kill('SIGSTOP');
  }

  /** Ends {@link hang}. */
  resume(): void {
    this.#program?.kill('SIGCONT');
  }

  #writeConfiguration(): string {
    const file = join(this.#directory, 'nginx.conf');
    writeFileSync(file, this.#configuration());
    return file;
  }

  #configuration(): string {
    const { name, address, port } = this;
    const proxied = `${address}:${port + 1}`;
    const connections = Math.max(512, Math.min(16_384, this.#openFiles - 512));
    return `
# One process, so that one pid is all of it.
daemon off;
master_process off;
pid ${this.#directory}/pid;
error_log ${this.#directory}/log warn;
events { worker_connections ${connections}; }
http {
  access_log off;
  server_tokens off;
  default_type text/html;
  client_body_temp_path ${this.#directory}/body;
  proxy_temp_path ${this.#directory}/proxy;
  fastcgi_temp_path ${this.#directory}/fastcgi;
  uwsgi_temp_path ${this.#directory}/uwsgi;
  scgi_temp_path ${this.#directory}/scgi;
  client_header_timeout 600s;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  server {
    ${this.#listen.map((endpoint) => `listen ${endpoint} backlog=4096;`).join(' ')}
    root ${this.folder};
    location = /client.html { return 200 "${name} \$remote_addr\\n"; }
    location /upload/ { dav_methods PUT; create_full_put_path on; client_max_body_size 0; }
  }
  # Shows what the PROXY protocol header told it.
  server {
    listen ${proxied} proxy_protocol;
    return 200 "${name} \$proxy_protocol_addr \$proxy_protocol_port \$proxy_protocol_server_addr\\n";
  }
}
`;
  }
}
