/**
 * Steps after which this program's table or log is another than the recorded one, on purpose. What it is here is
 * written down too, so that a difference is no licence.
 */
import type { Outcome } from './replay.ts';

export interface Difference {
  readonly step: string;
  readonly reason: string;
  /** Services and destinations in `ipvsadm -L -n`, each run of blanks as one; as recorded when absent. */
  readonly table?: readonly string[];
  /** As recorded when absent. */
  readonly log?: readonly string[];
}

const recovers =
  'a quiesced gate server on a foreign port recovers; the original adds it under a name that is taken';
const globalFallback =
  'a global fallback serves firewall marks too; the original asks ipvsadm for ":0" and is refused';
const inet6 =
  'http over IPv6 needs no library; the original dies of the missing one and leaves its service behind';
const words = 'checkcommand is split into words; the original looks for a program with a blank in its name';

const onStream = 'the log was on a stream of the daemon and is not in the recording';

const port80 = 'TCP 10.1.0.100:80 wrr';
const v6 = '[2001:db8:1::100]:80';

const entered = [
  'Added virtual server: 10.1.0.100:80',
  'Added real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 1)',
];
const left = [
  'Purged real server (stop): 10.2.0.11:80 (10.1.0.100:80)',
  'Purged virtual server (stop): 10.1.0.100:80',
];

export const differences: readonly Difference[] = [
  {
    step: 'reload while all down',
    reason:
      'a reload touches what changed; the original takes a fallback on a foreign port for a foreign server',
    log: [],
  },
  {
    step: 'same, quiescent=yes: started',
    reason: recovers,
    table: [port80, '-> 10.2.0.11:80 Route 1 0 0', '-> 10.2.0.12:80 Route 1 0 0'],
    log: [
      'Added virtual server: 10.1.0.100:80',
      'Added real server: 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 0)',
      'Added real server: 10.2.0.12:80 (10.1.0.100:80) (Weight set to 0)',
      'Restored real server: 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 1)',
      'Restored real server: 10.2.0.12:80 (10.1.0.100:80) (Weight set to 1)',
    ],
  },
  {
    step: 'same, quiescent=yes: rs1 down',
    reason: recovers,
    log: ['Quiescent real server: 10.2.0.11:80 mapped from 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 0)'],
  },
  {
    step: 'same, quiescent=yes: rs1 up',
    reason: recovers,
    table: [port80, '-> 10.2.0.11:80 Route 1 0 0', '-> 10.2.0.12:80 Route 1 0 0'],
    log: [
      'Resetting soft failure count: 10.2.0.11:8080 (tcp:10.1.0.100:80)',
      'Restored real server: 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 1)',
    ],
  },
  {
    step: 'fwmark with the global fallback: started',
    reason: globalFallback,
    log: [
      'Added virtual server: 7',
      'Added fallback server: 127.0.0.1:80 (7) (Weight set to 1)',
      'Added real server: 10.2.0.11:80 (7) (Weight set to 3)',
      'Deleted fallback server: 127.0.0.1:80 (7)',
    ],
  },
  {
    step: 'fwmark with the global fallback: rs1 down',
    reason: globalFallback,
    table: ['FWM 7 wrr', '-> 127.0.0.1:80 Route 1 0 0'],
    log: [
      'Deleted real server: 10.2.0.11:80 (7)',
      'Added fallback server: 127.0.0.1:80 (7) (Weight set to 1)',
    ],
  },
  {
    step: 'virtual6 http (no Net::INET6Glue here): started',
    reason: inet6,
    table: [`TCP ${v6} wrr`, '-> [2001:db8:2::11]:80 Masq 2 0 0'],
    log: [`Added virtual server: ${v6}`, `Added real server: [2001:db8:2::11]:80 (${v6}) (Weight set to 2)`],
  },
  {
    step: 'virtual6 http (no Net::INET6Glue here): stopped',
    reason: inet6,
    table: [],
    log: [`Purged real server (stop): [2001:db8:2::11]:80 (${v6})`, `Purged virtual server (stop): ${v6}`],
  },
  {
    step: 'external with arguments (quoted): started',
    reason: words,
    table: [port80, '-> 10.2.0.11:80 Route 1 0 0'],
    log: entered,
  },
  {
    step: 'external with arguments (quoted): stopped',
    reason: words,
    log: left,
  },
  {
    step: 'external timeout: stopped',
    reason: 'a stop ends the checks that run; the original waits until they have timed out',
    log: ['Purged virtual server (stop): 10.1.0.100:80'],
  },
  {
    step: 'fork=yes: rs1 up',
    reason: 'checks run in one process, so what one result changes is together in the log',
    log: [
      'Resetting soft failure count: 10.2.0.11:80 (tcp:10.1.0.100:80)',
      'Added real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 1)',
      'Resetting soft failure count: 10.2.0.11:8080 (tcp:10.1.0.100:8080)',
      'Added real server: 10.2.0.11:8080 (10.1.0.100:8080) (Weight set to 1)',
    ],
  },
  { step: 'supervised: running (pid file: False)', reason: onStream, log: entered },
  { step: 'supervised: stopped', reason: onStream, log: left },
  { step: '-d: stopped', reason: onStream, log: [...entered, ...left] },
];

/** `outcome` with what is expected here in place of what was recorded. */
export function expected({ title, table, log }: Outcome): {
  readonly table: readonly string[];
  readonly log: readonly string[];
  readonly differs: Difference | undefined;
} {
  const differs = differences.find(({ step }) => step === title);
  return { table: differs?.table ?? rows(table.recorded), log: differs?.log ?? log.recorded, differs };
}

/** What is below the three header lines, each run of blanks as one. */
export function rows(listing: string): readonly string[] {
  return listing
    .split('\n')
    .slice(3, -1)
    .map((line) => line.trim().replace(/ +/g, ' '));
}
