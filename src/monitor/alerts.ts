/**
 * Who is told by mail, and when: every change of a virtual service's servers once, and while a server stays down again after each
 * `emailalertfreq`. Sending is somebody else's; nothing here waits for it.
 */
import type { EmailAlert, EmailState, Virtual } from '../config/model.ts';
import { destinationKey, serviceKey } from '../director/table.ts';
import type { Clock, Timer } from '../util/clock.ts';
import type { Server } from './server.ts';

/** One mail that is due. */
export interface Alert {
  /** In ldirectord's words, without the service's name. */
  readonly text: string;
  /** What the daemon is doing. */
  readonly state: EmailState;
  /** Who wants it; `to` is not empty. */
  readonly email: EmailAlert;
  readonly servicename: string | undefined;
  readonly comment: string | undefined;
}

export interface AlertParts {
  readonly clock: Clock;
  log(message: string): void;
  /** Takes the mail and returns at once. */
  mail(alert: Alert): void;
}

interface Repeat {
  readonly virtual: Virtual;
  readonly server: Server;
  /** When it went down, or the last repeat was due: {@link Clock.now}. */
  since: number;
  timer: Timer | undefined;
}

/** A longer delay would be none at all: timers count in 31 bits. */
const longestTimer = 2 ** 31 - 1;

export class Alerts {
  /** What the daemon is doing; `emailalertstatus` goes by it. */
  state: EmailState = 'starting';
  readonly #parts: AlertParts;
  #repeats = new Map<string, Repeat>();

  constructor(parts: AlertParts) {
    this.#parts = parts;
  }

  /** A server of the service has changed in the table. */
  changed({ emailalert: email, servicename, comment }: Virtual, text: string): void {
    if (email.to === '' || !email.states.has(this.state)) return;
    this.#parts.log(`emailalert: ${text}`);
    this.#parts.mail({ text, state: this.state, email, servicename, comment });
  }

  /** After each check: a server that is down, for whatever reason, is reminded of until it is up. */
  checked(virtual: Virtual, server: Server, isDown: boolean): void {
    const key = keyOf(virtual, server);
    if (isDown && !this.#repeats.has(key)) this.#begin(key, virtual, server, this.#parts.clock.now());
    if (!isDown) this.#end(key);
  }

  /** From now on these are the servers that are down. Those that were it before are due when they were due. */
  adopt(down: Iterable<readonly [Virtual, Server]>): void {
    const before = this.#repeats;
    this.stop();
    for (const [virtual, server] of down) {
      const key = keyOf(virtual, server);
      this.#begin(key, virtual, server, before.get(key)?.since ?? this.#parts.clock.now());
    }
  }

  /** No more repeats. */
  stop(): void {
    for (const { timer } of this.#repeats.values()) timer?.cancel();
    this.#repeats = new Map();
  }

  #begin(key: string, virtual: Virtual, server: Server, since: number): void {
    const { to, frequency } = virtual.emailalert;
    if (to === '' || frequency === 0) return;
    const repeat: Repeat = { virtual, server, since, timer: undefined };
    this.#repeats.set(key, repeat);
    this.#wait(repeat);
  }

  #end(key: string): void {
    this.#repeats.get(key)?.timer?.cancel();
    this.#repeats.delete(key);
  }

  #wait(repeat: Repeat): void {
    const { clock } = this.#parts;
    const due = repeat.since + repeat.virtual.emailalert.frequency * 1000;
    const delay = Math.min(Math.max(due - clock.now(), 0), longestTimer);
    repeat.timer = clock.after(delay, () => {
      if (clock.now() >= due) {
        repeat.since = clock.now();
        const { virtual, server } = repeat;
        this.changed(virtual, `Inaccessible real server: ${destinationKey(server.id)} (${virtual.label})`);
      }
      this.#wait(repeat);
    });
  }
}

/** Two servers of a service may have one destination: their names differ. */
function keyOf({ service }: Virtual, { name }: Server): string {
  return `${serviceKey(service)} ${name}`;
}
