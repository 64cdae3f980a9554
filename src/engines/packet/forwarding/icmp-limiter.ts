/**
 * How many ICMP errors may be sent, as Linux limits them: 1,000 a second in all with bursts of 50, and to each host one a second with
 * bursts of six. A token bucket a host, in a small hashed table: two hosts that share a row share their tokens.
 */
const ROWS = 4096;
const HOST_COST = 1000;
const HOST_MOST = 6000;
const ALL_COST = 1;
const ALL_MOST = 50;

export class IcmpLimiter {
  readonly #tokens = new Float64Array(ROWS).fill(HOST_MOST);
  readonly #last = new Float64Array(ROWS);
  #all = ALL_MOST;
  #allLast = 0;

  /** Whether an error may be sent now; `host` is any 32-bit digest of the address. Milliseconds. */
  allows(host: number, now: number): boolean {
    this.#all = Math.min(ALL_MOST, this.#all + (now - this.#allLast));
    this.#allLast = now;
    const row = Math.imul(host, 0x9e3779b1) >>> 20;
    const tokens = Math.min(HOST_MOST, (this.#tokens[row] as number) + now - (this.#last[row] as number));
    this.#last[row] = now;
    this.#tokens[row] = tokens;
    if (tokens < HOST_COST || this.#all < ALL_COST) return false;
    this.#tokens[row] = tokens - HOST_COST;
    this.#all -= ALL_COST;
    return true;
  }
}
