/**
 * What the options of one command have said so far. Options are read from left to right and some depend on those
 * before them (`-6` on `-f`, a destination's port on the service's), so this is filled in order, one option at a time.
 */
import type { DestinationId, Forwarding, Protocol, ServiceSettings, Tunnel } from '../director/table.ts';
import type { Address, Family } from '../util/ip.ts';
import { canonicalAddress, familyOf } from '../util/ip.ts';
import type { NamesSource } from './directoradm-addresses.ts';
import {
  addressNumber,
  leadingNumber,
  parseEndpoint,
  parseHost,
  parseNumber,
} from './directoradm-addresses.ts';
import { UsageFault } from './directoradm-faults.ts';
import type { FoundOption, OptionName } from './directoradm-options.ts';

/** Seconds: IPVS's limit for persistence and timeouts, 31 days. */
const maxTimeout = 2678400;

/** Characters of a name of a scheduler, persistence engine or interface; IPVS never sees the others. */
const maxName = 15;
/** Characters of `-b` that ipvsadm reads. */
const maxFlags = 127;

export class Draft {
  readonly given = new Set<OptionName>();
  protocol: Protocol | undefined;
  mark = 0;
  family: Family = 'inet';
  address: Address = '0.0.0.0';
  port = 0;
  scheduler = 'wlc';
  schedulerFlags = '';
  persistence = 0;
  netmask = 0xffffffff;
  persistenceEngine = '';
  onePacket = false;
  proxyProtocol: ServiceSettings['proxyProtocol'] = 'none';
  destination: DestinationId = { address: '0.0.0.0', port: 0 };
  forwarding: Forwarding = 'gate';
  weight = 1;
  upperThreshold = 0;
  lowerThreshold = 0;
  tunnelType: Tunnel['type'] = 'ipip';
  tunnelPort = 0;
  tunnelChecksum: Tunnel['checksum'] = 'nocsum';
  interface = 'eth0';
  syncId = 0;
  syncMaxLength = 0;
  group: Address = '224.0.0.81';
  groupPort = 8848;
  ttl = 1;
  control: string | undefined;

  readonly #names: NamesSource;

  constructor(names: NamesSource) {
    this.#names = names;
  }

  /** @throws UsageFault */
  async take({ option, value, word }: FoundOption): Promise<void> {
    if (option.kind === 'command') throw new UsageFault(2, `invalid option \`${word}'`);
    if (option.kind === 'free') {
      if (option.name === 'ipv6') this.#useIpv6();
      if (option.name === 'control') this.control = value;
      return;
    }
    if (this.given.has(option.name)) throw new UsageFault(2, `multiple '${option.name}' options specified`);
    this.given.add(option.name);
    switch (option.name) {
      case 'service-address':
        await this.#takeService(option.long, value ?? '');
        return;
      case 'real-server':
        await this.#takeDestination(value ?? '');
        return;
      case 'netmask':
        await this.#takeNetmask(value ?? '');
        return;
      case 'persistent':
        this.persistence = value === undefined ? 360 : parseTimeout(value, 1);
        return;
      case 'forwarding-method':
        this.forwarding = option.long === 'masquerading' ? 'masq' : option.long === 'ipip' ? 'ipip' : 'gate';
        return;
      default:
        this.#takeSimple(option.name, value ?? '');
    }
  }

  #takeSimple(name: OptionName, value: string): void {
    switch (name) {
      case 'scheduler':
        if (value !== '') this.scheduler = value.slice(0, maxName);
        return;
      case 'sched-flags':
        this.schedulerFlags = value.slice(0, maxFlags);
        return;
      case 'pe':
        this.persistenceEngine = value.slice(0, maxName);
        return;
      case 'ops':
        this.onePacket = true;
        return;
      case 'proxy-protocol':
        if (value !== 'v1' && value !== 'v2') throw new UsageFault(2, 'illegal proxy-protocol specified');
        this.proxyProtocol = value;
        return;
      case 'weight':
        this.weight = number(value, 0, 0x7fffffff, 'illegal weight specified');
        return;
      case 'u-threshold':
        this.upperThreshold = number(value, 0, 0x7fffffff, 'illegal u_threshold specified');
        return;
      case 'l-threshold':
        this.lowerThreshold = number(value, 0, 0x7fffffff, 'illegal l_threshold specified');
        return;
      case 'tun-type':
        if (value !== 'ipip' && value !== 'gue' && value !== 'gre') {
          throw new UsageFault(2, 'illegal tunnel type specified');
        }
        this.tunnelType = value;
        return;
      case 'tun-port':
        this.tunnelPort = number(value, 1, 65535, 'illegal tunnel port specified');
        return;
      case 'tun-nocsum':
        this.tunnelChecksum = 'nocsum';
        return;
      case 'tun-csum':
        this.tunnelChecksum = 'csum';
        return;
      case 'tun-remcsum':
        this.tunnelChecksum = 'remcsum';
        return;
      case 'mcast-interface':
        if (value !== '') this.interface = value.slice(0, maxName);
        return;
      case 'mcast-group':
        this.group = parseGroup(value);
        return;
      case 'mcast-port':
        this.groupPort = number(value, 1, 65535, 'illegal mcast-port specified');
        return;
      case 'mcast-ttl':
        this.ttl = number(value, 1, 255, 'illegal mcast-ttl specified');
        return;
      case 'sync-maxlen':
        this.syncMaxLength = number(value, 1, 65507, 'illegal sync-maxlen specified');
        return;
      case 'syncid':
        this.syncId = number(value, 0, 255, 'illegal syncid specified');
        return;
      default:
        // The others only are there or not: see `given`.
        return;
    }
  }

  async #takeService(long: string, value: string): Promise<void> {
    if (long === 'fwmark-service') {
      this.mark = number(value, 1, 0xffffffff, `invalid fwmark value \`${value}' specified`);
      return;
    }
    this.protocol = long === 'tcp-service' ? 'tcp' : long === 'udp-service' ? 'udp' : 'sctp';
    const endpoint = await parseEndpoint(value, this.protocol, this.#names);
    if (endpoint === undefined) throw new UsageFault(2, 'illegal virtual server address[:port] specified');
    this.address = endpoint.address;
    this.port = endpoint.port ?? 0;
    this.family = familyOf(endpoint.address);
    if (this.family === 'inet6') this.netmask = 128;
  }

  /** A port that is not given is the service's, if the service was given before; so is the protocol of port names. */
  async #takeDestination(value: string): Promise<void> {
    const protocol = this.mark === 0 ? this.protocol : 'tcp';
    const endpoint = await parseEndpoint(value, protocol, this.#names);
    if (endpoint === undefined) throw new UsageFault(2, 'illegal real server address[:port] specified');
    this.destination = { address: endpoint.address, port: endpoint.port ?? this.port };
  }

  async #takeNetmask(value: string): Promise<void> {
    if (this.family === 'inet6') {
      this.netmask = leadingNumber(value);
      if (!(this.netmask >= 1 && this.netmask <= 128))
        throw new UsageFault(2, 'illegal ipv6 netmask specified');
      return;
    }
    const mask = await parseHost(value, this.#names);
    if (mask === undefined) throw new UsageFault(2, 'illegal virtual server persistent mask specified');
    this.netmask = addressNumber(mask);
  }

  #useIpv6(): void {
    if (this.mark === 0) throw new UsageFault(2, '-6 used before -f\n');
    this.family = 'inet6';
    this.netmask = 128;
  }
}

/** Seconds of `-p` and `--set`. @throws UsageFault */
export function parseTimeout(text: string, min: number): number {
  return number(text, min, maxTimeout, `invalid timeout value \`${text}' specified`);
}

function number(text: string, min: number, max: number, fault: string): number {
  const value = parseNumber(text, min, max);
  if (value === undefined) throw new UsageFault(2, fault);
  return value;
}

function parseGroup(text: string): Address {
  const family = text.includes(':') ? 'IPv6' : 'IPv4';
  const group = canonicalAddress(text);
  const multicast = family === 'IPv6' ? /^ff..:/ : /^(22[4-9]|23[0-9])\./;
  if (group === undefined || !multicast.test(group)) {
    throw new UsageFault(2, `invalid ${family} mcast-group \`${text}'`);
  }
  return group;
}
