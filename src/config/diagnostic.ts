/**
 * Collecting and printing what is wrong with a configuration file. Errors are gathered, not thrown, so that one run
 * shows every mistake; the first one is the one at which ldirectord would have stopped.
 */
import type { Diagnostic, Position } from './model.ts';

/** Why a value was refused, before it is known where it stands. */
export class Problem {
  /** Undefined: ldirectord takes the whole line for an unknown command. */
  readonly message: string | undefined;
  readonly expected: string;

  constructor(message: string | undefined, expected: string) {
    this.message = message;
    this.expected = expected;
  }
}

/** The diagnostics of one file, in the order in which they were found. */
export class Report {
  readonly #file: string;
  readonly #found: Diagnostic[] = [];
  #errors = 0;

  constructor(file: string) {
    this.#file = file;
  }

  error(at: Position | undefined, message: string, expected?: string): void {
    this.#errors++;
    this.#add('error', at, message, expected);
  }

  warning(at: Position | undefined, message: string, expected?: string): void {
    this.#add('warning', at, message, expected);
  }

  get errors(): number {
    return this.#errors;
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.#found;
  }

  #add(
    severity: Diagnostic['severity'],
    at: Position | undefined,
    message: string,
    expected: string | undefined,
  ): void {
    this.#found.push({
      severity,
      file: this.#file,
      message,
      ...(at === undefined ? {} : { at: { line: at.line, column: at.column } }),
      ...(expected === undefined ? {} : { expected }),
    });
  }
}

/** `file:line:column: error: what, expected what`, for people and editors. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { at, file, severity, message, expected } = diagnostic;
  const place = at === undefined ? file : `${file}:${at.line}:${at.column}`;
  return printable(
    `${place}: ${severity}: ${message}${expected === undefined ? '' : `, expected ${expected}`}`,
  );
}

/** `Error [PID] reading file FILE at line N: MESSAGE`: the form ldirectord's log and stderr have. */
export function formatAsLdirectord(diagnostic: Diagnostic, pid: number): string {
  const { at, file, severity, message } = diagnostic;
  const word = severity === 'error' ? 'Error' : 'Warning';
  const place = at === undefined ? '' : ` reading file ${file} at line ${at.line}`;
  return printable(`${word} [${pid}]${place}: ${message}`);
}

const longestLine = 1000;

/** A binary file given by mistake must not play with the terminal, nor fill it. Carriage returns stay, as ldirectord's do. */
function printable(line: string): string {
  const shown = line.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return shown.length > longestLine ? `${shown.slice(0, longestLine)}...` : shown;
}
