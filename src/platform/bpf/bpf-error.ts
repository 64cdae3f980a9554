/**
 * What a person reads when the kernel or libbpf refuses something of BPF: what was being done, why, and what libbpf and
 * the verifier had to say about it.
 */
import { getSystemErrorName } from 'node:util';
import { errorText } from '../libc.ts';

const EPERM = 1;
/** The kernel's own, unknown to the C library: this kernel has the command, but not for such an object. */
const ENOTSUPP = 524;
/** Above are libbpf's own numbers. */
const LAST_SYSTEM_ERROR = 4095;
const LIBBPF_ERRORS = 4000;

/** Lines of the verifier's log that are shown; the last say why it refused. */
const shownLines = 15;

export class BpfError extends Error {
  /** Positive; 4000 and above are libbpf's own (libbpf.h, libbpf_errno). */
  readonly errno: number;
  /** `EPERM`, or '' where the number has no name. */
  readonly code: string;
  readonly #verifierLog: string;

  /** @param doing `loading directord.bpf.o` @param warnings what libbpf printed meanwhile */
  constructor(doing: string, errno: number, warnings: readonly string[] = []) {
    const { plain, log } = sorted(warnings);
    const parts = [`${doing}: ${words(errno)}`, ...plain.map((line) => `  ${line}`)];
    if (log !== '')
      parts.push("  the verifier's last lines:", ...lastLines(log).map((line) => `    ${line}`));
    super(parts.join('\n'));
    this.name = 'BpfError';
    this.errno = errno;
    this.code = errno > 0 && errno < ENOTSUPP ? getSystemErrorName(-errno) : '';
    this.#verifierLog = log;
  }

  /** All that the verifier wrote; '' when it was not asked. */
  get verifierLog(): string {
    return this.#verifierLog;
  }
}

/** An error number in words. */
export function words(errno: number): string {
  if (errno === EPERM) return `${errorText(errno)} (BPF needs root, or CAP_BPF with CAP_NET_ADMIN)`;
  if (errno === ENOTSUPP) return 'Not supported by this kernel';
  if (errno >= LIBBPF_ERRORS && errno <= LAST_SYSTEM_ERROR) return `libbpf's error ${errno}`;
  return errorText(errno);
}

const logBegins = /^.*-- BEGIN [A-Z ]*LOG --\n?/m;
const logEnds = /^-- END [A-Z ]*LOG --.*$/m;
/** libbpf says a failure of the kernel's three times. */
const repetition = /failed to load: -\d+$|^failed to load object/;

/** The verifier's logs come between marks, in a warning of their own; the last one counts. */
function sorted(warnings: readonly string[]): { plain: readonly string[]; log: string } {
  const plain: string[] = [];
  let log = '';
  for (const warning of warnings) {
    const text = warning.replace(/^libbpf: /, '').trimEnd();
    if (logBegins.test(text)) log = text.replace(logBegins, '').replace(logEnds, '').trimEnd();
    else if (text !== '' && !repetition.test(text)) plain.push(text);
  }
  return { plain, log };
}

function lastLines(log: string): readonly string[] {
  const lines = log.split('\n');
  const left = lines.length - shownLines;
  return left > 0 ? [`(${left} lines before)`, ...lines.slice(left)] : lines;
}
