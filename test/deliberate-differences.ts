/**
 * Where this program differs from ldirectord on purpose, in one list. It holds the rows of the README's migration section and, with each row,
 * what it explains of the recordings: configurations that are read otherwise, steps of scenarios, checks of single services, lines of
 * the log. What is not in this list is a defect. Rows up to 16 have the numbers of the design; those behind have a reason.
 */

/** A configuration that is read otherwise, recognised by its text, so that recordings made later are covered too. */
export interface Reading {
  /** `refused`: only here an error; `accepted`: only here fine; `values`: fine in both, with another meaning. */
  readonly effect: 'refused' | 'accepted' | 'values';
  readonly text: RegExp;
}

/** A step after which table or log is another. What it is here is written down, so that a difference is no licence. */
export interface Step {
  readonly step: string;
  /** Services and destinations in `ipvsadm -L -n`, each run of blanks as one; as recorded when absent. */
  readonly table?: readonly string[];
  /** As recorded when absent. */
  readonly log?: readonly string[];
}

/** The check of one service, recognised by `service [mode]`, a newline, and the configuration. */
export interface ServiceDifference {
  readonly of: RegExp;
  /** The verdict here, where it is another. */
  readonly up?: boolean;
  /** What is said here in place of a line of what the client said; nothing when undefined. All lines by default. */
  readonly words?: readonly (readonly [recorded: RegExp, here: string | undefined])[];
  /** All that is said here, where the conversation goes another way. */
  readonly conversation?: (recorded: readonly string[]) => readonly string[];
}

export interface Row {
  readonly number: number;
  /** The two columns of the README. */
  readonly original: string;
  readonly here: string;
  /** Of rows that the design does not have. */
  readonly reason?: string;
  readonly readings?: readonly Reading[];
  readonly steps?: readonly Step[];
  readonly services?: readonly ServiceDifference[];
  /** Lines of the recorded log that this program does not say. */
  readonly unsaid?: readonly RegExp[];
}

const port80 = 'TCP 10.1.0.100:80 wrr';
const v6 = '[2001:db8:1::100]:80';

export const rows: readonly Row[] = [
  {
    number: 1,
    original: "`quiescent`: the program's default is no, the manual says yes",
    here: 'no',
  },
  {
    number: 2,
    original: 'a broken file removes the pid file of a healthy daemon; a broken reload freezes monitoring',
    here: 'whatever runs is untouched; the errors are printed or logged',
  },
  {
    number: 3,
    original: 'start and reload put every unchecked server in and out once',
    here: 'a server enters on its first success; servers already in the table stay until they fail',
    // the fallback of this step is such a server; the original does not know it by the port that the table has
    steps: [{ step: 'reload while all down', log: [] }],
  },
  {
    number: 4,
    original: 'a per-server request with a leading `/` loses its receive and thresholds',
    here: 'keeps them',
    readings: [{ effect: 'values', text: /^ +real=\S+ (?:gate|masq|ipip)[^"\n]* "\/[^"\n]*"/m }],
  },
  {
    number: 5,
    original:
      '`virtual=10.1.0.100` becomes firewall mark 10; `10.2.0.11::80`, `my_host` and the like lose what stands before',
    here: 'an error that says what was meant',
    readings: [
      { effect: 'refused', text: /^virtual6?\s*=\s*\d+[.:/]/m },
      {
        effect: 'refused',
        text: /^ +real6?\s*=[^\n]*(?:::\d|:\d+:\d+|->.*->|->:|\d:\d+->|=->|=my_|=[x,]+[\d[]|\]:\d+ gate)/m,
      },
    ],
  },
  {
    number: 6,
    original: '`#` cuts inside quotes',
    here: 'it does not',
    readings: [{ effect: 'accepted', text: /^ +[^#\n]*"[^"\n]*#[^"\n]*"/m }],
  },
  {
    number: 7,
    original: 'a global fallback fails with a firewall mark',
    here: 'works',
    readings: [
      {
        effect: 'values',
        text: /^fallback6?=[^]*^virtual6?=\d+[ \t]*$|^virtual6?=\d+[ \t]*$[^]*^fallback6?=/m,
      },
    ],
    steps: [
      {
        step: 'fwmark with the global fallback: started',
        log: [
          'Added virtual server: 7',
          'Added fallback server: 127.0.0.1:80 (7) (Weight set to 1)',
          'Added real server: 10.2.0.11:80 (7) (Weight set to 3)',
          'Deleted fallback server: 127.0.0.1:80 (7)',
        ],
      },
      {
        step: 'fwmark with the global fallback: rs1 down',
        table: ['FWM 7 wrr', '-> 127.0.0.1:80 Route 1 0 0'],
        log: [
          'Deleted real server: 10.2.0.11:80 (7)',
          'Added fallback server: 127.0.0.1:80 (7) (Weight set to 1)',
        ],
      },
    ],
  },
  {
    number: 8,
    original: 'a quiesced gate server on a foreign port never recovers',
    here: 'recovers',
    steps: [
      {
        step: 'same, quiescent=yes: started',
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
        log: [
          'Quiescent real server: 10.2.0.11:80 mapped from 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 0)',
        ],
      },
      {
        step: 'same, quiescent=yes: rs1 up',
        table: [port80, '-> 10.2.0.11:80 Route 1 0 0', '-> 10.2.0.12:80 Route 1 0 0'],
        log: [
          'Resetting soft failure count: 10.2.0.11:8080 (tcp:10.1.0.100:80)',
          'Restored real server: 10.2.0.11:8080 (10.1.0.100:80) (Weight set to 1)',
        ],
      },
    ],
  },
  { number: 9, original: 'quiescing resets thresholds', here: 'keeps them' },
  {
    number: 10,
    original: 'https verifies the chain and not the name; pops and imaps both; ldaps neither',
    here: 'the same; `tlsverify=none`, `chain`, `full` in a section',
    readings: [{ effect: 'accepted', text: /^ *tlsverify *=/m }],
  },
  {
    number: 11,
    original: 'the ftp check lets the server connect back (active mode)',
    here: 'passive; `FTP_PASSIVE=0` in the environment for active',
    services: [
      // where these were recorded, no server could connect back
      { of: /^ftp \[ok\]/, up: true },
      {
        of: /^ftp (?![^]*FTP_PASSIVE=0)/,
        conversation: (recorded) => {
          const words = recorded.filter((line) => line !== 'PASV' && !/^(?:PORT |QUIT)/.test(line));
          const transfer = words.findIndex((line) => line.startsWith('RETR '));
          return [...words.toSpliced(transfer < 0 ? words.length : transfer, 0, 'PASV'), 'QUIT'];
        },
      },
      // one way for the data is enough
      { of: /^ftp [^]*FTP_PASSIVE=0/, words: [[/^PASV$/, undefined]] },
    ],
  },
  {
    number: 12,
    original:
      'a pop server whose greeting is an error is up; dns without receive is never up; nor is HEAD with a receive',
    here: 'down; up on any answer; receive is ignored, with a warning',
    services: [
      { of: /^pop \[bad\]/, up: false },
      { of: /^dns(?:-tcp)? \[ok\]\n(?![^]*receive=)/, up: true },
      { of: /^http(?:s|_proxy)? \[ok\]\n(?=[^]*httpmethod=HEAD)[^]*receive=/, up: true },
    ],
  },
  {
    number: 13,
    original: 'a missing library (IPv6 http, SQL drivers) or mailer kills the daemon',
    here: 'one line in the log; that check is down or that mail is lost, and nothing else. IPv6 needs no library',
    steps: [
      {
        step: 'virtual6 http (no Net::INET6Glue here): started',
        table: [`TCP ${v6} wrr`, '-> [2001:db8:2::11]:80 Masq 2 0 0'],
        log: [
          `Added virtual server: ${v6}`,
          `Added real server: [2001:db8:2::11]:80 (${v6}) (Weight set to 2)`,
        ],
      },
      {
        step: 'virtual6 http (no Net::INET6Glue here): stopped',
        table: [],
        log: [
          `Purged real server (stop): [2001:db8:2::11]:80 (${v6})`,
          `Purged virtual server (stop): ${v6}`,
        ],
      },
    ],
  },
  {
    number: 14,
    original: '`checkcommand` takes no arguments',
    here: 'words are split, no shell',
    steps: [
      {
        step: 'external with arguments (quoted): started',
        table: [port80, '-> 10.2.0.11:80 Route 1 0 0'],
        log: [
          'Added virtual server: 10.1.0.100:80',
          'Added real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 1)',
        ],
      },
      {
        step: 'external with arguments (quoted): stopped',
        log: [
          'Purged real server (stop): 10.2.0.11:80 (10.1.0.100:80)',
          'Purged virtual server (stop): 10.1.0.100:80',
        ],
      },
    ],
  },
  { number: 15, original: 'a failed ldap check counts twice', here: 'once' },
  {
    number: 16,
    original: 'reload resets failure counters and states',
    here: 'kept for servers that did not change',
  },
  {
    number: 17,
    original:
      'one check after the other, or with `fork=yes` a process for each virtual; one slow server delays all, and the stop',
    here: 'all at once, each with its own deadline and socket; `fork=yes` changes nothing',
    reason: 'the last row of the design, which has no number',
    unsaid: [/^(?:Child not running|Spawned child|Killing child) /],
    steps: [
      { step: 'external timeout: stopped', log: ['Purged virtual server (stop): 10.1.0.100:80'] },
      {
        step: 'fork=yes: rs1 up',
        log: [
          'Resetting soft failure count: 10.2.0.11:80 (tcp:10.1.0.100:80)',
          'Added real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 1)',
          'Resetting soft failure count: 10.2.0.11:8080 (tcp:10.1.0.100:8080)',
          'Added real server: 10.2.0.11:8080 (10.1.0.100:8080) (Weight set to 1)',
        ],
      },
    ],
  },
  {
    number: 18,
    original: 'unindented lines after `virtual=` are errors',
    here: 'a section written without indentation is read, with a warning (web pages show it so)',
    reason: 'people paste configurations from pages that lost the blanks',
    readings: [
      {
        effect: 'accepted',
        text: /^virtual6?=.*\n(?:[a-z].*\n)*?(?:real|protocol|service|scheduler|request)=/m,
      },
    ],
  },
  {
    number: 19,
    original: 'the same real server twice in one section is checked and applied twice',
    here: 'read with a warning; the last line counts',
    reason: 'two lines would fight over one entry of the table',
  },
  {
    number: 20,
    original: 'an external check that is killed by a signal counts as up',
    here: 'down',
    reason: 'a check that crashed has found nothing well',
  },
  {
    number: 21,
    original:
      'words in a `real=` line that are not understood are skipped if something follows; a mark over 32 bits, a weight over 2147483647, a netmask octet over 255, a count of `00`, a `receive` that is no pattern are taken',
    here: 'an error',
    reason: 'each of them is a mistake that nobody notices until the service does not serve',
    readings: [
      { effect: 'refused', text: /^virtual6?\s*=\s*(?:4294967296|\d{11,})/m },
      {
        effect: 'refused',
        text: /^ +real=\S+ (?:gate|masq|ipip)\b.*(?:garbage| x "|"a" 5|"\/a" (?:5|l:)|\d{11,})/m,
      },
      {
        effect: 'refused',
        text: /^ *(?:check(?:interval|timeout|count)|negotiatetimeout|failurecount)\s*=00$/m,
      },
      { effect: 'refused', text: /^ +netmask=.*(?:256|999)/m },
      { effect: 'refused', text: /(?:receive=|",)"(?:\(|\*|a\{2,1\})/ },
    ],
  },
  {
    number: 22,
    original: '`persistent=0` makes ipvsadm refuse the service',
    here: 'the service is not persistent',
    reason: 'that is what was meant',
    readings: [{ effect: 'values', text: /^ +persistent=0+$/m }],
  },
  {
    number: 23,
    original: 'at start and reload every service is edited (`-E`), changed or not',
    here: 'only what changed',
    reason: 'a log that says "Changed" of what did not change hides what did',
  },
  {
    number: 24,
    original: 'the log never says why a server failed',
    here: "`Failed check of real server: ...: REASON` before the first failure's other lines",
    reason: 'it is the first thing that whoever is woken wants to know',
  },
  {
    number: 25,
    original:
      'a server shared by several virtuals is counted down once for each of them at every failed check',
    here: 'once',
    reason: 'one check is one failure',
  },
  {
    number: 26,
    original: 'marks, ports and numbers are texts: `080` is another service than `80`',
    here: 'numbers; `virtual` lines with leading zeros are errors',
    reason: 'the table knows numbers only, so both would be one entry of it',
    readings: [
      { effect: 'refused', text: /^virtual=(?:07|10\.1\.0\.100:080)$/m },
      { effect: 'values', text: /=\s*0\d|:0\d| 00\d/ },
    ],
  },
  {
    number: 27,
    original:
      'what ipvsadm refuses is logged as `system(...) failed:` with an error number of something else',
    here: '`Refused (CODE): ...` with the reason',
    reason: 'there is no ipvsadm in between',
    unsaid: [/^system\(.*\) failed: /],
  },
  {
    number: 28,
    original: 'an ftp login that is refused, and without receive even a connection, is no failure',
    here: 'both are down',
    reason:
      'nobody is served there; what ldirectord looks at, the file, a real server does not give away then either',
    services: [
      {
        of: /^ftp \[badpw\]/,
        up: false,
        conversation: ([user = '', password = '']) => [user, password, 'QUIT'],
      },
    ],
  },
  {
    number: 29,
    original:
      'a server that is in several virtuals is asked once for all of them, also where they have another login, password, database, secret or method, and an external program for the first one only',
    here: 'each of them asks what it says',
    reason: 'a wrong password counted as up because another section has the right one',
  },
  {
    number: 30,
    original: 'a fallbackcommand that was started is not stopped when ldirectord stops',
    here: 'it is, with `cleanstop=yes`, and when a reload takes its virtual away',
    reason: 'nobody would do it later; asked for in the tracker of the original',
  },
];

/** Nobody sees these but real servers, so the README does not have them. */
export const unseen: readonly Pick<Row, 'reason' | 'services' | 'readings'>[] = [
  {
    reason: 'directives of our own',
    readings: [{ effect: 'accepted', text: /^ *(?:proxyprotocol|flapdamping) *=/m }],
  },
  {
    reason: 'http says who asks, and offers no compressed transfer, because a receive could not match in it',
    services: [
      {
        of: /^http(?:s|_proxy)? /,
        words: [
          [/^TE: /, undefined],
          [/^Connection: TE, close$/, 'Connection: close'],
          [/^User-Agent: /, 'User-Agent: directord'],
        ],
      },
    ],
  },
  {
    reason:
      'pop without a login does not try to log in, which is a failure in the log of the server at every check',
    services: [{ of: /^pops? \[ok\]\n(?![^]*login=)/, words: [[/^(?:CAPA|USER|PASS|STAT)\b/, undefined]] }],
  },
  {
    reason: 'pop tries a password once: a second time would only bring the account closer to being locked',
    services: [{ of: /^pops? \[badpw\]/, conversation: (recorded) => [...new Set(recorded)] }],
  },
  {
    reason:
      'imap does not say EXPUNGE: that is an accident of a library, means nothing before a mailbox is selected, and removes mail after',
    services: [
      {
        of: /^imaps? /,
        words: [
          [/^\d+ EXPUNGE$/, undefined],
          [/^\d+ LOGOUT$/, '1 LOGOUT'],
        ],
      },
    ],
  },
  {
    reason: 'ldap takes its leave, so that the server does not log a lost connection (RFC 4511, section 4.3)',
    services: [{ of: /^ldaps? \[(?!badpw)/, conversation: (recorded) => [...recorded, '30050201034200'] }],
  },
  {
    reason: 'radius requests are signed: servers that know of CVE-2024-3596 take no others',
    services: [{ of: /^radius /, conversation: (recorded) => [...recorded, '80: SIGNATURE'] }],
  },
];

/** Whether a configuration is known to be read otherwise. */
export function isReadOtherwise(config: string, effect: Reading['effect']): boolean {
  const readings = [...rows, ...unseen].flatMap((row) => row.readings ?? []);
  return readings.some((each) => each.effect === effect && each.text.test(config));
}

/** Of a step, and why it differs. */
export function stepDifference(title: string): (Step & { readonly why: string }) | undefined {
  for (const { number, here, steps = [] } of rows) {
    const step = steps.find((each) => each.step === title);
    if (step !== undefined) return { ...step, why: `row ${number}: ${here}` };
  }
  return undefined;
}
