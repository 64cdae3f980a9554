/**
 * syslog(3) of the C library. Node has no unix datagram sockets, so the library's own client is used; it is loaded
 * when the first line is sent, because most daemons log to a file.
 */

/** facility codes of RFC 5424, section 6.2.1 */
const facilities = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
];
const firstLocal = 16;
const LOG_PID = 0x01;
const LOG_INFO = 6;

/** Number of a facility by its name (`daemon`, `LOG_LOCAL0`, ...); undefined when there is none. */
export function facilityCode(name: string): number | undefined {
  const plain = name.toLowerCase().replace(/^log_/, '');
  const local = /^local([0-7])$/.exec(plain)?.[1];
  if (local !== undefined) return (firstLocal + Number(local)) << 3;
  const index = facilities.indexOf(plain === 'security' ? 'auth' : plain);
  return index < 0 ? undefined : index << 3;
}

/** Keeps the ident alive: openlog(3) remembers the pointer, not the text. */
let openedIdent: Buffer | undefined;

/**
 * @returns a function that sends one line with level info, and with the pid.
 * @throws when the facility is unknown or the C library cannot be loaded
 */
export async function openSyslog(ident: string, facility: string): Promise<(message: string) => void> {
  const code = facilityCode(facility);
  if (code === undefined) throw new Error(`there is no syslog facility '${facility}'`);
  const { default: koffi } = await import('koffi');
  const libc = koffi.load('libc.so.6');
  const openlog = libc.func('void openlog(void *, int, int)') as (
    ident: Buffer,
    options: number,
    facility: number,
  ) => void;
  const syslog = libc.func('void syslog(int, const char *, ...)') as (
    priority: number,
    format: string,
    type: string,
    message: string,
  ) => void;
  openedIdent = Buffer.from(`${ident}\0`);
  openlog(openedIdent, LOG_PID, code);
  return (message) => {
    syslog(code | LOG_INFO, '%s', 'str', message);
  };
}
