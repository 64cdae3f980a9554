/** Random changes of the table, and of the sysctls, through a director: what it refuses never gets to the engine. */
import { Director } from '../../../src/director/director.ts';
import { schedulerNames } from '../../../src/director/schedulers.ts';
import type {
  DestinationId,
  DestinationSettings,
  ServiceId,
  ServiceSettings,
} from '../../../src/director/table.ts';
import { ipipTunnel } from '../../../src/director/table.ts';
import type { Verb } from '../../../src/director/verbs.ts';
import { DirectorError } from '../../../src/director/verbs.ts';
import type { VsSettings } from '../../../src/engines/vs-settings.ts';
import { familyOf } from '../../../src/util/ip.ts';
import { virtual } from './place.ts';
import type { Random } from './random.ts';

export const servicePorts = [80, 53, 21, 0];
export const serverPorts = [80, 53, 8080, 0];
/** Besides ordinary real servers: addresses of the director, among them a VIP; a client; one that cannot be reached. */
export const servers = [
  ...[1, 2, 3, 4, 5].flatMap((n) => [`10.2.0.1${n}`, `2001:db8:2::1${n}`]),
  '127.0.0.1',
  '10.1.0.1',
  '10.1.0.102',
  '10.1.0.50',
  '198.51.100.7',
  '203.0.113.9',
  '2001:db8:1::1',
  '2001:db8:9::1',
];
const sysctls: Readonly<Record<keyof VsSettings, readonly number[]>> = {
  conn_reuse_mode: [0, 1, 2, 3],
  expire_nodest_conn: [0, 1],
  expire_quiescent_template: [0, 1],
  sloppy_tcp: [0, 0, 1],
  pmtu_disc: [1, 1, 0],
  nat_icmp_send: [0, 1],
  secure_tcp: [0, 0, 3],
  drop_packet: [0, 0, 0, 3],
  am_droprate: [1, 2, 10],
};
const schedulers = [...schedulerNames];

export class TableChanges {
  readonly #random: Random;
  readonly #director: Director;
  readonly #settings: VsSettings;

  constructor(random: Random, settings: VsSettings, applied: (verb: Verb) => void) {
    this.#random = random;
    this.#settings = settings;
    this.#director = new Director({ applied });
  }

  /** Mostly something is added; now and then everything is deleted. */
  change(): void {
    const random = this.#random;
    const turn = random.below(200);
    if (turn === 0) this.#apply({ verb: 'flush' });
    else if (turn < 3) this.#apply({ verb: 'zero' });
    else if (turn < 6) this.#timeouts();
    else if (turn < 20) this.#sysctl();
    else if (turn < 60)
      this.#service(random.pick(['add-service', 'add-service', 'add-service', 'edit-service']));
    else if (turn < 66) this.#apply({ verb: 'delete-service', service: this.#serviceId() });
    else
      this.#destination(
        random.pick(['add-destination', 'add-destination', 'edit-destination', 'delete-destination']),
      );
  }

  flush(): void {
    this.#apply({ verb: 'flush' });
  }

  /** A service with so many destinations. */
  fill(destinations: number): void {
    const service: ServiceId = { kind: 'address', protocol: 'udp', address: '10.1.0.100', port: 53 };
    const settings = { ...this.#serviceSettings(), scheduler: 'rr', onePacket: false, persistence: 0 };
    this.#apply({ verb: 'add-service', service, settings });
    for (let i = 0; i < destinations; i++) {
      const destination = { address: `10.3.${i >> 8}.${i & 255}`, port: 53 };
      this.#apply({ verb: 'add-destination', service, destination, settings: this.#destinationSettings() });
    }
  }

  #apply(verb: Verb): void {
    try {
      this.#director.apply(verb, 'fuzzer');
    } catch (error) {
      if (!(error instanceof DirectorError)) throw error;
    }
  }

  #service(verb: 'add-service' | 'edit-service'): void {
    this.#apply({ verb, service: this.#serviceId(), settings: this.#serviceSettings() });
  }

  #destination(verb: 'add-destination' | 'edit-destination' | 'delete-destination'): void {
    const service = this.#serviceId();
    const destination = this.#destinationId(service);
    if (verb === 'delete-destination') this.#apply({ verb, service, destination });
    else this.#apply({ verb, service, destination, settings: this.#destinationSettings() });
  }

  #serviceId(): ServiceId {
    const random = this.#random;
    if (random.oneIn(10))
      return { kind: 'fwmark', mark: 1 + random.below(4), family: random.pick(['inet', 'inet6'] as const) };
    const protocol = random.pick(['tcp', 'udp'] as const);
    return { kind: 'address', protocol, address: random.pick(virtual), port: random.pick(servicePorts) };
  }

  #serviceSettings(): ServiceSettings {
    const random = this.#random;
    return {
      scheduler: random.pick(schedulers),
      schedulerFlags: random.below(4),
      persistence: random.oneIn(3) ? random.pick([1, 30, 300]) : 0,
      netmask: random.pick([0xffffffff, 0xffffff00, 64, 128]),
      persistenceEngine: random.oneIn(2) ? 'sip' : '',
      onePacket: random.oneIn(5),
      proxyProtocol: 'none',
    };
  }

  /** The port is mostly the service's, which gate and ipip need. */
  #destinationId(service: ServiceId): DestinationId {
    const random = this.#random;
    const own = service.kind === 'address' ? service.port : 0;
    const family = service.kind === 'address' ? familyOf(service.address) : service.family;
    const wanted = servers.filter((address) => random.oneIn(10) || familyOf(address) === family);
    return {
      address: random.pick(wanted.length > 0 ? wanted : servers),
      port: random.oneIn(3) ? random.pick(serverPorts) : own,
    };
  }

  #destinationSettings(): DestinationSettings {
    const random = this.#random;
    const upperThreshold = random.oneIn(8) ? random.pick([1, 10, 100]) : 0;
    return {
      forwarding: random.pick(['masq', 'masq', 'gate', 'ipip', 'local']),
      weight: random.pick([0, 1, 1, 1, 2, 10, 0x7fffffff]),
      upperThreshold,
      lowerThreshold: upperThreshold > 1 && random.oneIn(2) ? upperThreshold >> 1 : 0,
      tunnel: random.pick([
        ipipTunnel,
        { type: 'gue', port: 6080, checksum: 'nocsum' },
        { type: 'gue', port: 6080, checksum: 'csum' },
        { type: 'gre', port: 0, checksum: 'nocsum' },
        { type: 'gre', port: 0, checksum: 'csum' },
      ] as const),
    };
  }

  #timeouts(): void {
    const random = this.#random;
    const timeouts = { tcp: random.below(1000), tcpFin: random.below(200), udp: random.below(400) };
    this.#apply({ verb: 'set-timeouts', timeouts });
  }

  #sysctl(): void {
    const name = this.#random.pick(Object.keys(sysctls) as (keyof VsSettings)[]);
    this.#settings[name] = this.#random.pick(sysctls[name]);
  }
}
