/**
 * A laboratory: a client, a director and real servers with real nginx, as in the picture of lab/network.ts, in network
 * namespaces of this run alone; without root the same on loopback addresses. It is gone, with every process and file of
 * it, when it is closed or this process ends, however it ends.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Host, type Surroundings } from './lab/host.ts';
import { parseListing, type ListedService } from './lab/listing.ts';
import { Network, sweepNamespaces, virtual, whyNoNamespaces, type NetworkOptions } from './lab/network.ts';
import { openFiles } from './lab/open-files.ts';
import { directoradm, directord, helper, which } from './lab/paths.ts';
import type { Finished, Program } from './lab/program.ts';
import { isAlive, signalIfAlive, textOf } from './lab/processes.ts';
import { detachMountsBelow, mountBpffs } from '../support/mounts.ts';
import { waitFor } from '../support/until.ts';
import { WebServer, type Addresses } from './lab/web-server.ts';

export { waitFor };
export type { Finished, Program, WebServer };

export type LabKind = 'namespaces' | 'loopback';

export interface LabOptions extends Partial<NetworkOptions> {
  /** What {@link Lab.startDirectord} starts. */
  readonly engine?: 'relay' | 'packet' | 'ebpf';
  /** The web servers serve there too. */
  readonly secondPort?: number;
}

/** How a destination must be named for the way that replies have. */
const methods = { nat: 'masq', direct: 'gate', tunnel: 'ipip' } as const;

/** Where real servers take GUE packets. */
const guePort = 6080;

const sites = [
  { name: 'rs1', number: 11 },
  { name: 'rs2', number: 12 },
  { name: 'rs3', number: 13 },
  { name: 'fallback', number: 20 },
];

/** Why scenarios that need network namespaces cannot run here, or false: the `skip` of a tap test. */
export const skipReason = whySkip();

const labs = new Set<Lab>();
let opened = 0;

export class Lab {
  readonly kind: LabKind;
  readonly directory: string;
  readonly client: Host;
  readonly director: Host;
  readonly engine: 'relay' | 'packet' | 'ebpf';
  /** 10.3.0.2 behind the client; there only if it was asked for. */
  readonly far: Host;
  readonly servers: readonly WebServer[];
  readonly fallback: WebServer;
  readonly vip: string;
  readonly vip6 = virtual.inet6;
  /** `masq`, `gate` or `ipip`: what fits the network. */
  readonly forwarding: 'masq' | 'gate' | 'ipip';
  readonly port: number;
  /** What one process may have open. */
  readonly openFiles: number;
  readonly env: NodeJS.ProcessEnv;
  readonly #network: Network | undefined;
  readonly #running = new Set<Program>();

  /** Builds the network and starts the web servers. */
  static async open(kind: LabKind = 'namespaces', options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(kind, options);
    try {
      const sites = [...lab.servers, lab.fallback];
      await Promise.all(sites.map((server) => server.start()));
      if (options.routing === 'tunnel') await Promise.all(sites.map(({ host }) => lab.#endTunnels(host)));
    } catch (error) {
      lab.destroy();
      throw error;
    }
    return lab;
  }

  private constructor(kind: LabKind, options: LabOptions) {
    installExits();
    sweep();
    opened += 1;
    const id = `${process.pid}.${opened}`;
    this.kind = kind;
    this.directory = mkdtempSync(join(tmpdir(), `directord-lab-${id}-`));
    mkdirSync(join(this.directory, 'run'));
    this.env = {
      ...process.env,
      LC_ALL: 'C',
      DIRECTORD_CONTROL: join(this.directory, 'control.sock'),
      DIRECTORD_RUN_DIR: join(this.directory, 'run'),
      // what is pinned outlives the mount namespaces that `ip netns exec` makes
      DIRECTORD_BPFFS: join(this.directory, 'bpf'),
    };
    const { limit, prefix } = openFiles();
    const surroundings: Surroundings = { env: this.env, prefix, running: this.#running };
    this.openFiles = limit;
    const {
      engine = 'relay',
      routing = 'nat',
      offloads = 'on',
      far = false,
      bridge = false,
      cables = false,
      secondPort,
    } = options;
    this.engine = engine;
    this.forwarding = methods[routing];
    const network = { routing, offloads, far, bridge, cables };
    this.#network = kind === 'namespaces' ? new Network(`dl${id}-`, network) : undefined;
    labs.add(this);
    const host = (name: string) => new Host(name, this.#network?.namespace(name), surroundings);
    const webServer = ({ name, number }: (typeof sites)[number]) => {
      const places = { ...addresses(kind, number, routing), ...(secondPort !== undefined && { secondPort }) };
      return new WebServer(host(name), places, join(this.directory, name), limit);
    };
    this.vip = kind === 'namespaces' ? virtual.inet : '127.0.0.100';
    this.port = kind === 'namespaces' ? 80 : 8000;
    try {
      if (engine === 'ebpf') mountBpffs(this.pinned);
      this.#network?.build(sites);
      this.client = host('client');
      this.director = host('director');
      this.far = host('far');
      this.servers = sites.slice(0, 3).map(webServer);
      this.fallback = webServer({ name: 'fallback', number: 20 });
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /** The URL of the virtual service. */
  get url(): string {
    return `http://${this.vip}${this.port === 80 ? '' : `:${this.port}`}/`;
  }

  /** Where the ebpf engine pins things. */
  get pinned(): string {
    return join(this.directory, 'bpf');
  }

  get logfile(): string {
    return join(this.directory, 'directord.log');
  }

  /** What directord logged; empty before it logged. */
  log(): string {
    return existsSync(this.logfile) ? readFileSync(this.logfile, 'utf8') : '';
  }

  /** Writes a configuration file. @returns its path */
  writeConfig(text: string, name = 'lab.cf'): string {
    const file = join(this.directory, name);
    writeFileSync(file, text);
    return file;
  }

  /** A configuration like the one that people have: three real servers, a fallback, checks every second. */
  usualConfig(reals = this.servers.map((server) => `real=${server.endpoint} ${this.forwarding}`)): string {
    return `checktimeout=1
checkinterval=1
failurecount=1
autoreload=no
logfile="${this.logfile}"
quiescent=no
cleanstop=yes

virtual=${this.vip}:${this.port}
${[...reals, `fallback=${this.fallback.endpoint} ${this.forwarding}`].map((line) => `    ${line}\n`).join('')}    protocol=tcp
    scheduler=rr
    # how a real server shows that it is well
    service=http
    request="test.html"
    receive="OK"
`;
  }

  /** Runs `directord` on the director, to its end. */
  directord(...args: readonly string[]): Promise<Finished> {
    return this.director.run([directord, ...args]);
  }

  /** Starts `directord -f` on the director; resolves when its control socket answers. */
  async startDirectord(...args: readonly string[]): Promise<Program> {
    const program = this.director.start([directord, '-f', '--engine', this.engine, ...args]);
    await waitFor(
      'directord to answer',
      10,
      async () => {
        const { finished } = program;
        if (finished === undefined) return (await this.adm('-L', '-n')).code === 0;
        throw new Error(
          `directord ended with ${finished.code ?? finished.signal ?? ''}: ${finished.stdout}${finished.stderr}`,
        );
      },
      () => `${program.stdout}${program.stderr}`,
    );
    return program;
  }

  /** Runs `directoradm` on the director, to its end. */
  adm(...args: readonly string[]): Promise<Finished> {
    return this.director.run([directoradm, ...args]);
  }

  /** As {@link adm}, with text on its standard input. */
  admInput(input: string, ...args: readonly string[]): Promise<Finished> {
    return this.director.run([directoradm, ...args], { input });
  }

  async services(): Promise<readonly ListedService[]> {
    return parseListing((await this.adm('-L', '-n')).stdout);
  }

  /** Endpoints behind the first service (or the one named `TCP 10.1.0.100:80`), in the order of the listing. */
  async pool(service?: string): Promise<readonly string[]> {
    const services = await this.services();
    const found = service === undefined ? services[0] : services.find(({ name }) => name === service);
    return found?.destinations.map(({ endpoint }) => endpoint) ?? [];
  }

  /** Waits until exactly these are in the pool. @returns seconds that it took */
  untilPool(servers: readonly WebServer[], seconds: number): Promise<number> {
    return this.untilPoolOf(
      servers.map(({ endpoint }) => endpoint),
      seconds,
    );
  }

  /** The same by endpoint. */
  async untilPoolOf(endpoints: readonly string[], limit: number): Promise<number> {
    const wanted = [...endpoints].sort();
    const start = performance.now();
    await waitFor(
      `the pool to be ${wanted.join(' ')}`,
      limit,
      async () => [...(await this.pool())].sort().join() === wanted.join(),
      async () => (await this.adm('-L', '-n')).stdout,
    );
    const seconds = (performance.now() - start) / 1000;
    await this.untilInForce();
    return seconds;
  }

  /** Waits until everything that is in the table is in force: `directoradm -R` ends no earlier. */
  async untilInForce(): Promise<void> {
    await this.admInput('', '-R');
  }

  /** Requests from the client, one after the other, each on a connection of its own: who answered (or curl's error). */
  async curl(count = 1, url = this.url): Promise<readonly string[]> {
    const urls = Array.from({ length: count }, () => url);
    const options = ['-sS', '--globoff', '--max-time', '5', '-H', 'Connection: close'];
    const { stdout, stderr } = await this.client.run(['curl', ...options, ...urls]);
    return `${stdout}${stderr}`.split('\n').filter(Boolean);
  }

  /** Starts one of our helper programs (test/scenario/programs). */
  helper(host: Host, name: string, ...args: readonly (string | number)[]): Program {
    return host.start([process.execPath, helper(name), ...args.map(String)]);
  }

  /** Ends everything and removes every trace. */
  async close(): Promise<void> {
    try {
      await this.#stopDaemons();
    } finally {
      this.destroy();
    }
  }

  /** The same at once, for the way out of this process. */
  destroy(): void {
    labs.delete(this);
    for (const program of this.#running) program.kill('SIGKILL');
    for (const pid of this.#daemons()) signalIfAlive(pid, 'SIGKILL');
    this.#network?.remove();
    detachMountsBelow(this.directory);
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #endTunnels(host: Host): Promise<void> {
    // with the ebpf engine packets keep what the kernel knows of them, also that a card is to finish them; raw sockets do not tell it
    const program = this.helper(host, 'decapsulate', guePort, this.engine === 'ebpf' ? 'finish' : 'as-is');
    await waitFor(`${host.name} to end tunnels`, 10, () => {
      if (program.finished !== undefined) throw new Error(`decapsulate ended: ${program.finished.stderr}`);
      return program.lines().includes('ready');
    });
  }

  async #stopDaemons(): Promise<void> {
    const pids = this.#daemons();
    for (const pid of pids) signalIfAlive(pid, 'SIGTERM');
    if (pids.length > 0) await waitFor('the daemon to end', 5, () => this.#daemons().length === 0);
  }

  /** Pids of directord processes of this lab that detached themselves from us. */
  #daemons(): readonly number[] {
    const folder = join(this.directory, 'run');
    const files = readdirSync(folder).filter((name) => name.endsWith('.pid'));
    const pids = files.map((name) => Number(textOf(join(folder, name))));
    return pids.filter((pid) => pid > 1 && belongsTo(pid, this.directory));
  }
}

function whySkip(): string | false {
  const namespaces = whyNoNamespaces();
  if (namespaces !== undefined) return namespaces;
  const missing = ['nginx', 'curl'].filter((program) => which(program) === undefined);
  return missing.length > 0 && `needs ${missing.join(', ')} (make deps)`;
}

function addresses(kind: LabKind, number: number, routing: NetworkOptions['routing']): Addresses {
  if (kind === 'loopback') return { address: `127.0.0.${number}`, port: 8080 };
  const more = routing === 'nat' ? [] : Object.values(virtual);
  return { address: `10.2.0.${number}`, address6: `2001:db8:2::${number}`, port: 80, more };
}

/** Whether a process lives and was started for this lab: the pid in a left-over file may be another's by now. */
function belongsTo(pid: number, directory: string): boolean {
  return isAlive(pid) && textOf(`/proc/${pid}/environ`).includes(directory);
}

function sweep(): void {
  if (process.getuid?.() === 0 && which('ip') !== undefined) sweepNamespaces();
  for (const name of readdirSync(tmpdir())) {
    const pid = /^directord-lab-(\d+)\./.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    detachMountsBelow(join(tmpdir(), name));
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** However this process ends, its labs end first. */
function installExits(): void {
  if (opened > 0) return;
  const endAll = () => {
    for (const lab of labs) lab.destroy();
  };
  process.on('exit', endAll);
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(signal, () => {
      endAll();
      process.exit(128 + number);
    });
  }
}
