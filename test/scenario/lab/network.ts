/**
 * The network of a lab: a client, a director and real servers, each in its own network namespace.
 *
 *     client 10.1.0.2 ---- 10.1.0.1, VIP 10.1.0.100  director  10.2.0.1 ---- switch ---- rs1 10.2.0.11 ... fallback 10.2.0.20
 *
 * The same with 2001:db8:1:: in front and 2001:db8:2:: behind. Needs root and iproute2.
 */
import { execFileSync } from 'node:child_process';
import { isAlive, signalIfAlive } from './processes.ts';
import { which } from './paths.ts';

export interface Site {
  readonly name: string;
  /** Last part of both its addresses behind the director: `11` is 10.2.0.11 and 2001:db8:2::11. */
  readonly number: number;
}

const settings = [
  'net/ipv6/conf/all/disable_ipv6=0',
  'net/ipv6/conf/default/accept_dad=0',
  'net/ipv6/conf/all/accept_dad=0',
  'net/ipv4/ip_local_port_range=10000 64999',
];

export class Network {
  readonly #prefix: string;
  readonly #names: string[] = [];

  /** @param prefix of every namespace, unique on this machine and ending in `-` */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  namespace(name: string): string {
    return `${this.#prefix}${name}`;
  }

  build(sites: readonly Site[]): void {
    for (const name of ['client', 'director', 'switch', ...sites.map((site) => site.name)]) this.#add(name);
    this.#cable('client', 'eth0', 'director', 'front');
    this.#address('client', 'eth0', '10.1.0.2/24', '2001:db8:1::2/64');
    this.#address('director', 'front', '10.1.0.1/24', '2001:db8:1::1/64');
    this.#address('director', 'front', '10.1.0.100/32', '2001:db8:1::100/128');
    ip('-n', this.namespace('switch'), 'link', 'add', 'bridge', 'type', 'bridge');
    ip('-n', this.namespace('switch'), 'link', 'set', 'bridge', 'up');
    this.#plug('director', 'back');
    this.#address('director', 'back', '10.2.0.1/24', '2001:db8:2::1/64');
    for (const site of sites) {
      this.#plug(site.name, 'eth0');
      this.#address(site.name, 'eth0', `10.2.0.${site.number}/24`, `2001:db8:2::${site.number}/64`);
      this.#route(site.name, '10.2.0.1', '2001:db8:2::1');
    }
    this.#route('client', '10.1.0.1', '2001:db8:1::1');
    this.#set('director', 'net/ipv4/ip_forward=1', 'net/ipv6/conf/all/forwarding=1');
  }

  /** Kills what still runs in the namespaces and removes them. Never throws: it is the way out. */
  remove(): void {
    for (const name of this.#names.splice(0)) removeNamespace(this.namespace(name));
  }

  #add(name: string): void {
    ip('netns', 'add', this.namespace(name));
    this.#names.push(name);
    ip('-n', this.namespace(name), 'link', 'set', 'lo', 'up');
    this.#set(name, ...settings);
  }

  #cable(a: string, aInterface: string, b: string, bInterface: string): void {
    const [left, right] = [this.namespace(a), this.namespace(b)];
    ip(
      ...['link', 'add', aInterface, 'netns', left, 'type', 'veth'],
      ...['peer', 'name', bInterface, 'netns', right],
    );
    ip('-n', left, 'link', 'set', aInterface, 'up');
    ip('-n', right, 'link', 'set', bInterface, 'up');
  }

  #plug(name: string, device: string): void {
    this.#cable(name, device, 'switch', name);
    ip('-n', this.namespace('switch'), 'link', 'set', name, 'master', 'bridge');
  }

  #address(name: string, device: string, inet: string, inet6: string): void {
    ip('-n', this.namespace(name), 'address', 'add', inet, 'dev', device);
    ip('-n', this.namespace(name), 'address', 'add', inet6, 'dev', device, 'nodad');
  }

  #route(name: string, inet: string, inet6: string): void {
    ip('-n', this.namespace(name), 'route', 'add', 'default', 'via', inet);
    ip('-n', this.namespace(name), '-6', 'route', 'add', 'default', 'via', inet6);
  }

  #set(name: string, ...assignments: readonly string[]): void {
    const script = assignments
      .map((assignment) => assignment.replace(/^(.*?)=(.*)$/, 'echo "$2" >/proc/sys/$1'))
      .join(' && ');
    ip('netns', 'exec', this.namespace(name), 'sh', '-c', script);
  }
}

/** Why no network namespace can be made here (not root, a container that forbids it), or undefined when one can. */
export function whyNoNamespaces(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, for network namespaces';
  if (which('ip') === undefined) return 'needs ip (make deps)';
  const probe = `dl${process.pid}.0-probe`;
  try {
    ip('netns', 'add', probe);
    ip('netns', 'exec', probe, 'true');
    return undefined;
  } catch (error) {
    return `no network namespace can be made here: ${String((error as { stderr?: string }).stderr).trim()}`;
  } finally {
    if (ip('netns', 'list').includes(probe)) ip('netns', 'delete', probe);
  }
}

/** Removes what labs of dead processes left behind: namespaces named `dl<pid>.<n>-<name>`. */
export function sweepNamespaces(): void {
  for (const line of ip('netns', 'list').split('\n')) {
    const match = /^dl(\d+)\.\d+-\S+/.exec(line);
    if (match !== null && !isAlive(Number(match[1]))) removeNamespace(match[0]);
  }
}

function removeNamespace(namespace: string): void {
  try {
    for (const pid of ip('netns', 'pids', namespace).split('\n').filter(Boolean))
      signalIfAlive(Number(pid), 'SIGKILL');
    ip('netns', 'delete', namespace);
  } catch (error) {
    process.stderr.write(`lab: ${namespace} could not be removed: ${String(error)}\n`);
  }
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
