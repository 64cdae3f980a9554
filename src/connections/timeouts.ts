/** How long a connection may be idle in each state. `ipvsadm --set` changes three of them, for packets yet to come. */
import { TCP } from './protocols.ts';
import { TcpState } from './tcp-states.ts';

/** Seconds, as `ipvsadm --set tcp tcpfin udp` takes them. */
export interface TimeoutSettings {
  readonly tcp: number;
  readonly tcpFin: number;
  readonly udp: number;
}

/** A new TCP entry has so many seconds to get its first state. */
const UNSET = 3;

/** Seconds by TCP state: NONE ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN SYNACK. */
const tcpSeconds = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120];
const udpSeconds = 300;

export class ConnectionTimeouts {
  readonly #tcp = Float64Array.from(tcpSeconds);
  #udp = udpSeconds;

  constructor(settings?: TimeoutSettings) {
    if (settings !== undefined) this.set(settings);
  }

  /** 0 keeps what was set before. */
  set({ tcp, tcpFin, udp }: TimeoutSettings): void {
    if (tcp > 0) this.#tcp[TcpState.established] = tcp;
    if (tcpFin > 0) this.#tcp[TcpState.finWait] = tcpFin;
    if (udp > 0) this.#udp = udp;
  }

  /** Seconds until an idle connection in this state expires. */
  of(protocol: number, state: number): number {
    return protocol === TCP ? (this.#tcp[state] ?? UNSET) : this.#udp;
  }

  /** Seconds that a connection lives before its first state is set. */
  ofNew(protocol: number): number {
    return protocol === TCP ? UNSET : this.#udp;
  }
}
