/** What is compared: something that forwards to the real servers of a laboratory of its own, always from the same ports. */
import type { Lab, Program } from '../test/scenario/lab.ts';

export interface Peer {
  readonly name: string;
  readonly version: string;
  readonly lab: Lab;
  /** Undefined: the kernel does it. */
  readonly program: Program | undefined;
  /** Others are what ours are compared with. */
  readonly ours: boolean;
  /** Address that clients ask; plain routing has none but the server's own. */
  readonly address: string;
  /** Addresses that clients have to ask in turn, where nobody balances. */
  readonly servers?: readonly string[];
}

/** At the virtual address and at the real servers alike. */
export const ports = {
  /** nginx, on all real servers. */
  web: 80,
  /** iperf3, on the first. */
  bulk: 5201,
  /** UDP that nobody answers, on all. */
  sink: 5000,
  /** UDP that the first answers. */
  echo: 5001,
} as const;
