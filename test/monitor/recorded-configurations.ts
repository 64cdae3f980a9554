/**
 * Configurations of the recordings that do not carry them, put together from the titles of their steps and from what
 * table and log then show; the timeouts are those of the recordings that do carry theirs.
 */

interface Section {
  readonly virtual?: string;
  readonly reals: readonly string[];
  readonly more?: readonly string[];
}

const fallback = 'fallback=127.0.0.1:80 gate';
const both = ['10.2.0.11:80 gate', '10.2.0.12:80 gate'];
const both8080 = ['10.2.0.11:8080 gate', '10.2.0.12:8080 gate'];
const readsPage = ['service=http', 'request="index.html"', 'receive="Test Page"', 'checktype=negotiate'];

function file(global: readonly string[], ...sections: readonly Section[]): string {
  const lines = [
    'checktimeout=2',
    'negotiatetimeout=2',
    'checkinterval=1',
    'logfile="/run/ld.log"',
    ...global,
  ];
  for (const { virtual = '10.1.0.100:80', reals, more = [fallback, 'scheduler=rr'] } of sections) {
    const body = [...reals.map((real) => `real=${real}`), ...readsPage, ...more];
    lines.push(`virtual=${virtual}`, ...body.map((line) => `    ${line}`));
  }
  return `${lines.join('\n')}\n`;
}

const moved = ['10.2.0.11:80 masq 5', '10.2.0.13:80 gate'];
const second = { virtual: '10.1.0.100:8080', reals: both8080 };
const secondAlone = { ...second, more: ['scheduler=rr'] };
const kept = ['quiescent=no', 'cleanstop=no'];

function allDead(quiescent: string, more: readonly string[]): string {
  return file([`quiescent=${quiescent}`], { reals: both, more: [...more, 'scheduler=rr'] });
}

/** One for each start of a daemon and each reload, in their order. */
export const configurations: Readonly<Record<string, readonly string[]>> = {
  basic: ['no', 'yes'].map((quiescent) => file([`quiescent=${quiescent}`], { reals: both })),
  reload: [
    file([], { reals: both }),
    file([], { reals: both }),
    file([], { reals: [...both, '10.2.0.13:80 gate'] }),
    file([], { reals: ['10.2.0.11:80 gate', '10.2.0.13:80 gate'] }),
    file([], { reals: ['10.2.0.11:80 gate 5', '10.2.0.13:80 gate'] }),
    file([], { reals: moved }),
    file([], { reals: moved, more: [fallback, 'scheduler=wlc', 'persistent=60'] }),
    file([], { reals: moved }, second),
    file([], second),
    file([], secondAlone),
    file([], second),
    file([], second),
  ],
  startstop: [
    file(kept, { reals: both }),
    file(kept, { reals: both }),
    file(
      [],
      { reals: both, more: [fallback, 'scheduler=rr', 'cleanstop=no'] },
      { virtual: '10.1.0.100:8080', reals: ['10.2.0.11:8080 gate'] },
    ),
    file([], { reals: both }, { virtual: '10.1.0.200:80', reals: both }),
    allDead('no', [fallback]),
    allDead('no', []),
    allDead('yes', [fallback]),
    allDead('yes', []),
    file(['quiescent=yes', 'readdquiescent=yes'], { reals: both }),
    file(['quiescent=yes', 'failurecount=3'], { reals: both }),
  ],
};

/** With `supervised=yes` and with `-d` there is no pid file, and so no action was recorded. */
export const inForeground = file(['quiescent=no'], { reals: ['10.2.0.11:80 gate'], more: [] });

/** What was done to the table by hand before a step, with ipvsadm. */
export const byHand: Readonly<Record<string, readonly string[]>> = {
  'start with an existing table (rs1 w3, foreign real, foreign service)': [
    '-A -t 10.1.0.100:80 -s rr',
    '-a -t 10.1.0.100:80 -r 10.2.0.11:80 -g -w 3',
    '-a -t 10.1.0.100:80 -r 10.2.0.99:80 -g -w 1',
    '-A -t 10.1.0.200:80 -s rr',
    '-a -t 10.1.0.200:80 -r 10.2.0.12:80 -g -w 1',
  ],
  'two virtuals, same reals': ['-C'],
  // The daemon had died and left its service behind.
  'fwmark6: started': ['-C'],
  'rs2 removed by hand': ['-d -t 10.1.0.100:80 -r 10.2.0.12:80'],
};
