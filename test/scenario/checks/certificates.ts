/**
 * An authority of our own, and certificates of servers that it signed. directord believes it when it is started with
 * {@link Authority.trusted} before its command.
 */
import { chmodSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { which } from '../lab/paths.ts';
import type { Place } from './place.ts';

/** Paths of PEM files that every user may read. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** Days it is valid; negative: it expired. Default 2. */
  readonly days?: number;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export class Authority {
  /** The certificate to believe. */
  readonly certificate: string;
  /** Put before a command that shall believe it. */
  readonly trusted: readonly string[];
  readonly #key: string;
  readonly #place: Place;

  private constructor(place: Place, { certificate, key }: Certificate) {
    this.#place = place;
    this.#key = key;
    this.certificate = certificate;
    this.trusted = ['env', `SSL_CERT_FILE=${certificate}`];
  }

  static async make(place: Place): Promise<Authority> {
    const files = pair(place, 'authority');
    await selfSigned(place, files, '/CN=authority', ['-addext', 'basicConstraints=critical,CA:TRUE']);
    return new Authority(place, files);
  }

  /** @param names host names and addresses; the first one also names the files */
  async sign(names: readonly string[], { days = 2 }: CertificateOptions = {}): Promise<Certificate> {
    const place = this.#place;
    const files = pair(place, names[0] ?? 'server');
    const request = `${files.key}.request`;
    const extensions = place.write('certificates/extensions', `${alternativeNames(names)}\n`);
    await openssl(place, ['req', ...newKey, '-subj', '/O=server', '-keyout', files.key, '-out', request]);
    const authority = ['-CA', this.certificate, '-CAkey', this.#key, '-CAcreateserial'];
    const signing = ['x509', '-req', ...authority, '-days', String(days), '-extfile', extensions];
    await openssl(place, [...signing, '-in', request, '-out', files.certificate]);
    chmodSync(files.key, 0o644);
    return files;
  }
}

/** A certificate that nobody signed but its own key. */
export async function selfSign(place: Place, names: readonly string[]): Promise<Certificate> {
  const files = pair(place, names[0] ?? 'server');
  await selfSigned(place, files, '/O=server', ['-addext', alternativeNames(names)]);
  return files;
}

async function selfSigned(
  place: Place,
  { certificate, key }: Certificate,
  subject: string,
  extensions: readonly string[],
): Promise<void> {
  const out = ['-keyout', key, '-out', certificate];
  await openssl(place, ['req', '-x509', ...newKey, '-days', '2', '-subj', subject, ...extensions, ...out]);
  chmodSync(key, 0o644);
}

function pair(place: Place, name: string): Certificate {
  place.write('certificates/README', 'made by a test\n');
  const path = join(place.directory, 'certificates', name.replaceAll(':', '_'));
  return { certificate: `${path}.pem`, key: `${path}.key` };
}

function alternativeNames(names: readonly string[]): string {
  return `subjectAltName=${names.map((name) => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`).join(',')}`;
}

async function openssl(place: Place, options: readonly string[]): Promise<void> {
  const { code, stderr } = await place.run([which('openssl') ?? 'openssl', ...options]);
  if (code !== 0) throw new Error(`openssl ${options.join(' ')}: ${stderr}`);
}
