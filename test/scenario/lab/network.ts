/**
 * The network of a lab: a client, a director and real servers, each in its own network namespace.
 *
 *     client 10.1.0.2 ---- 10.1.0.1, VIP 10.1.0.100  director  10.2.0.1 ---- switch ---- rs1 10.2.0.11 ... fallback 10.2.0.20
 *
 * The same with 2001:db8:1:: in front and 2001:db8:2:: behind. Without routing `nat` replies have a way of their own: the
 * client is on the switch too, as 10.2.0.2, and is where the real servers send what is not for their neighbours. A client
 * far away is behind the other one: 10.3.0.2 ---- 10.3.0.1 client. Needs root, iproute2 and (for offloads) ethtool.
 */
import { execFileSync } from 'node:child_process';
import { isAlive, signalIfAlive } from './processes.ts';
import { which } from './paths.ts';

export interface Site {
  readonly name: string;
  /** Last part of both its addresses behind the director: `11` is 10.2.0.11 and 2001:db8:2::11. */
  readonly number: number;
}

/** The virtual address. */
export const virtual = { inet: '10.1.0.100', inet6: '2001:db8:1::100' } as const;

export interface NetworkOptions {
  /**
   * How a reply gets from a real server to the client. `nat`: through the director. Otherwise past it, and real servers
   * have the virtual address on `lo`, where nobody hears of it; with `tunnel` there is also the device `decap0`, for a
   * program that unwraps what comes in tunnels.
   */
  readonly routing: 'nat' | 'direct' | 'tunnel';
  /** What network cards are asked to do for the kernel: `on` as the kernel makes a veth, or checksums and segments by hand. */
  readonly offloads: 'on' | 'off';
  /** Whether there is a client behind a router. */
  readonly far: boolean;
  /** The switch is the director's own: a bridge named `back` with the real servers behind its ports. */
  readonly bridge: boolean;
  /** No switch: each real server has a cable of its own to the director, whose end has the server's name. With routing `nat` alone. */
  readonly cables: boolean;
}

const offloads = ['rx', 'tx', 'sg', 'tso', 'gso', 'gro'];

const settings = [
  'net/ipv6/conf/all/disable_ipv6=0',
  'net/ipv6/conf/default/accept_dad=0',
  'net/ipv6/conf/all/accept_dad=0',
  'net/ipv4/ip_local_port_range=10000 64999',
];

const forwarding = ['net/ipv4/ip_forward=1', 'net/ipv6/conf/all/forwarding=1'];

/** Takes packets by whatever interface they come. */
const anyPath = ['net/ipv4/conf/all/rp_filter=0', 'net/ipv4/conf/default/rp_filter=0'];

export class Network {
  readonly #prefix: string;
  readonly #options: NetworkOptions;
  readonly #names: string[] = [];

  /** @param prefix of every namespace, unique on this machine and ending in `-` */
  constructor(prefix: string, options: NetworkOptions) {
    this.#prefix = prefix;
    this.#options = options;
  }

  namespace(name: string): string {
    return `${this.#prefix}${name}`;
  }

  build(sites: readonly Site[]): void {
    for (const name of ['client', 'director', 'switch', ...sites.map((site) => site.name)]) this.#add(name);
    this.#cable('client', 'eth0', 'director', 'front');
    this.#address('client', 'eth0', '10.1.0.2/24', '2001:db8:1::2/64');
    this.#address('director', 'front', '10.1.0.1/24', '2001:db8:1::1/64');
    this.#address('director', 'front', `${virtual.inet}/32`, `${virtual.inet6}/128`);
    const { host, bridge } = this.#switch;
    ip('-n', this.namespace(host), 'link', 'add', bridge, 'type', 'bridge');
    ip('-n', this.namespace(host), 'link', 'set', bridge, 'up');
    const { cables } = this.#options;
    if (host !== 'director' && !cables) this.#plug('director', 'back');
    if (!cables) this.#address('director', 'back', '10.2.0.1/24', '2001:db8:2::1/64');
    const router = this.#options.routing === 'nat' ? 1 : 2;
    if (router === 2) this.#secondPath();
    for (const { name, number } of sites) {
      if (cables) this.#connect(name, number);
      else this.#plug(name, 'eth0');
      this.#address(name, 'eth0', `10.2.0.${number}/24`, `2001:db8:2::${number}/64`);
      this.#route(name, 'default', `10.2.0.${router}`, `2001:db8:2::${router}`);
      if (router === 2) this.#silentVirtualAddress(name);
    }
    this.#route('client', 'default', '10.1.0.1', '2001:db8:1::1');
    this.#set('director', ...forwarding);
    if (this.#options.far) this.#farClient();
  }

  #connect(name: string, number: number): void {
    this.#cable(name, 'eth0', 'director', name);
    this.#address('director', name, '10.2.0.1/32', '2001:db8:2::1/128');
    for (const to of [`10.2.0.${number}/32`, `2001:db8:2::${number}/128`])
      ip('-n', this.namespace('director'), 'route', 'add', to, 'dev', name);
  }

  /** Into the client from the switch, where nothing that it sends leaves. */
  #secondPath(): void {
    this.#set('client', ...anyPath);
    this.#plug('client', 'eth1');
    this.#address('client', 'eth1', '10.2.0.2/24', '2001:db8:2::2/64');
  }

  /** IPv6 is silent about the addresses of `lo` without being told. */
  #silentVirtualAddress(name: string): void {
    this.#set(name, ...anyPath, 'net/ipv4/conf/all/arp_ignore=1', 'net/ipv4/conf/all/arp_announce=2');
    this.#address(name, 'lo', `${virtual.inet}/32`, `${virtual.inet6}/128`);
    if (this.#options.routing !== 'tunnel') return;
    ip('-n', this.namespace(name), 'tuntap', 'add', 'dev', 'decap0', 'mode', 'tun');
    this.#set(name, 'net/ipv4/conf/decap0/rp_filter=0');
    ip('-n', this.namespace(name), 'link', 'set', 'decap0', 'up');
  }

  #farClient(): void {
    this.#add('far');
    this.#cable('far', 'eth0', 'client', 'far');
    this.#address('far', 'eth0', '10.3.0.2/24', '2001:db8:3::2/64');
    this.#address('client', 'far', '10.3.0.1/24', '2001:db8:3::1/64');
    this.#route('far', 'default', '10.3.0.1', '2001:db8:3::1');
    this.#set('client', ...forwarding);
    this.#route('director', ['10.3.0.0/24', '2001:db8:3::/64'], '10.1.0.2', '2001:db8:1::2');
  }

  get #switch(): { readonly host: string; readonly bridge: string } {
    return this.#options.bridge ? { host: 'director', bridge: 'back' } : { host: 'switch', bridge: 'bridge' };
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
    for (const [namespace, device] of [
      [left, aInterface],
      [right, bInterface],
    ] as const) {
      if (this.#options.offloads === 'off') switchOff(namespace, device);
      ip('-n', namespace, 'link', 'set', device, 'up');
    }
  }

  #plug(name: string, device: string): void {
    const { host, bridge } = this.#switch;
    this.#cable(name, device, host, name);
    ip('-n', this.namespace(host), 'link', 'set', name, 'master', bridge);
  }

  #address(name: string, device: string, inet: string, inet6: string): void {
    ip('-n', this.namespace(name), 'address', 'add', inet, 'dev', device);
    ip('-n', this.namespace(name), 'address', 'add', inet6, 'dev', device, 'nodad');
  }

  #route(
    name: string,
    to: 'default' | readonly [inet: string, inet6: string],
    inet: string,
    inet6: string,
  ): void {
    const [destination, destination6] = to === 'default' ? [to, to] : to;
    ip('-n', this.namespace(name), 'route', 'add', destination, 'via', inet);
    ip('-n', this.namespace(name), '-6', 'route', 'add', destination6, 'via', inet6);
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

function switchOff(namespace: string, device: string): void {
  const features = offloads.flatMap((feature) => [feature, 'off']);
  ip('netns', 'exec', namespace, 'ethtool', '-K', device, ...features);
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
