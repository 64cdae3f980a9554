/** What /proc/net/ip_vs_stats tells: counters of all services together, and their rates a second. */
import type { Counters } from '../engines/engine.ts';
import type { Rates } from './rates.ts';

export interface Statistics {
  readonly totals: Counters;
  readonly rates: Rates;
}
