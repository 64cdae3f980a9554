/**
 * `monitorfile=`: a line for each check result of a virtual service, for scripts that follow it. The file is opened for each write, so
 * that it can be rotated; one that cannot be written costs its lines and nothing else.
 */
import type { CheckSettings, Virtual } from '../config/model.ts';
import type { CheckResult } from './check.ts';
import { isPing } from './check.ts';

export interface MonitorFileParts {
  /** `[Sun Nov 22 09:07:23 2026] [1234]`: now, and who writes. */
  stamp(): string;
  append(path: string, text: string): Promise<void>;
  log(message: string): void;
}

/** Lines that wait for a file, which may be on a disk that hangs. */
const mostWaiting = 10_000;
const longestText = 1000;

export class MonitorFiles {
  readonly #parts: MonitorFileParts;
  readonly #files = new Map<string, MonitorFile>();

  constructor(parts: MonitorFileParts) {
    this.#parts = parts;
  }

  /** Returns at once. */
  checked({ monitorfile: path }: Virtual, settings: CheckSettings, result: CheckResult): void {
    if (path === undefined) return;
    const text = monitorText(settings, result);
    if (text === undefined) return;
    const file = this.#files.get(path) ?? new MonitorFile(path, this.#parts);
    this.#files.set(path, file);
    file.add(`${this.#parts.stamp()} ${text}\n`);
  }

  /** Resolves when everything so far is written or given up. */
  async written(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.written));
  }
}

class MonitorFile {
  written: Promise<void> = Promise.resolve();
  readonly #path: string;
  readonly #parts: MonitorFileParts;
  #waiting: string[] = [];
  #writing = false;
  /** It has been said that it does not work. */
  #failing = false;

  constructor(path: string, parts: MonitorFileParts) {
    this.#path = path;
    this.#parts = parts;
  }

  add(line: string): void {
    if (this.#waiting.length >= mostWaiting) this.#fail('too slow');
    else this.#waiting.push(line);
    if (!this.#writing) this.written = this.#write();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const lines = this.#waiting.splice(0);
      try {
        await this.#parts.append(this.#path, lines.join(''));
        this.#failing = false;
      } catch (error) {
        this.#fail((error as Error).message);
      }
    }
    this.#writing = false;
  }

  #fail(reason: string): void {
    if (!this.#failing) this.#parts.log(`Error writing to monitorfile '${this.#path}': ${reason}`);
    this.#failing = true;
  }
}

/** What comes behind the stamp; undefined for results that ldirectord does not write either. */
export function monitorText(settings: CheckSettings, result: CheckResult): string | undefined {
  const { type, id } = settings;
  const inMaintenance = result.immediate === true;
  if (type === 'on' || type === 'off') return undefined;
  if (!inMaintenance && (type === 'external-perl' || (isPing(settings) && !result.up))) return undefined;
  const check = id.replace(/:+/g, ' ').replaceAll('\\', '');
  const text = inMaintenance ? result.detail : spoken(settings, result);
  return `${check} [${result.up ? 'up' : 'down'}] ${encoded(text.slice(0, longestText))}`;
}

/** Only these checks say more than their result there; why others fail is in the log. */
function spoken({ type, service }: CheckSettings, { up, detail }: CheckResult): string {
  if (type !== 'negotiate' && type !== 'combined') return '-';
  switch (service) {
    case 'http':
    case 'https':
    case 'http_proxy':
      return detail;
    case 'dns':
    case 'ldap':
    case 'ldaps':
      return up ? 'Success' : detail;
    default:
      return '-';
  }
}

/** One line, whatever a server said. */
function encoded(text: string): string {
  return text.replace(/[%|\p{Cc}]/gu, (character) => {
    return `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
