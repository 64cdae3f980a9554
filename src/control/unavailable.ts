/** The error of a control client that cannot speak, or speak on, with a directord. */

/** Why there is no conversation: nobody listens, one may not, or the other side is not understood. */
export type UnavailableReason = 'absent' | 'denied' | 'busy' | 'broken';

export class ControlUnavailable extends Error {
  override readonly name = 'ControlUnavailable';
  readonly reason: UnavailableReason;

  constructor(reason: UnavailableReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
