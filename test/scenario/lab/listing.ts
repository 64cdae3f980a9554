/** Reads what `directoradm -L -n` prints. */

export interface ListedDestination {
  /** `10.2.0.11:80` */
  readonly endpoint: string;
  readonly forwarding: string;
  readonly weight: number;
  readonly active: number;
  readonly inactive: number;
}

export interface ListedService {
  /** `TCP 10.1.0.100:80` */
  readonly name: string;
  readonly scheduler: string;
  readonly destinations: readonly ListedDestination[];
}

export function parseListing(text: string): readonly ListedService[] {
  const services: { name: string; scheduler: string; destinations: ListedDestination[] }[] = [];
  for (const line of text.split('\n').slice(3)) {
    const service = /^(TCP|UDP|FWM) +(\S+)(?: IPv6)? +(\S+)/.exec(line);
    if (service !== null) {
      const [, protocol = '', address = '', scheduler = ''] = service;
      services.push({ name: `${protocol} ${address}`, scheduler, destinations: [] });
    }
    const destination = /^ {2}-> (\S+) +(\S+) +(\d+) +(\d+) +(\d+)/.exec(line);
    if (destination !== null) {
      const [, endpoint = '', forwarding = '', weight, active, inactive] = destination;
      services.at(-1)?.destinations.push({
        endpoint,
        forwarding,
        weight: Number(weight),
        active: Number(active),
        inactive: Number(inactive),
      });
    }
  }
  return services;
}
