/** What becomes of a packet. */
export const Verdict = {
  /** The forwarder dealt with it: sent it on, answered it, or keeps it (a fragment). */
  sent: 0,
  /** Not its business: the packet goes on through the host's own stack. */
  pass: 1,
  drop: 2,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** Why packets were dropped, with the words in which it is told. */
export const dropReasons = [
  'malformed',
  'bad checksum',
  'destination deleted',
  'connection table full',
  'no route',
  'too large',
  'dropped by drop_packet',
  'to a loopback address',
  'reply that belongs to no connection',
  'source route',
  'from an address that nobody outside can have',
  'without what the persistence engine looks for',
] as const;

export class Drops {
  readonly counts = new Float64Array(dropReasons.length);

  /** Counts it. @returns the verdict */
  drop(reason: number): Verdict {
    this.counts[reason] = (this.counts[reason] as number) + 1;
    return Verdict.drop;
  }
}

/** Index of each reason, so that the hot path counts without a search. */
export const Drop = {
  malformed: 0,
  badChecksum: 1,
  destinationDeleted: 2,
  tableFull: 3,
  noRoute: 4,
  tooLarge: 5,
  dropPacket: 6,
  toLoopback: 7,
  unknownReply: 8,
  sourceRouted: 9,
  martian: 10,
  noEngineData: 11,
} as const;
