/** What a check believes of a server's certificate: `tlsverify` of the virtual service. */
import type { ConnectionOptions } from 'node:tls';
import type { CheckSettings } from '../../config/model.ts';
import type { CheckerParts } from './ask.ts';
import { errorText } from './error-text.ts';

export type TlsOptions = Pick<
  ConnectionOptions,
  'rejectUnauthorized' | 'secureContext' | 'checkServerIdentity'
>;

export function tlsOptions(
  { tlsverify }: Pick<CheckSettings, 'tlsverify'>,
  { trust }: Pick<CheckerParts, 'trust'>,
): TlsOptions {
  switch (tlsverify) {
    case 'none':
      return { rejectUnauthorized: false };
    case 'chain':
      return { secureContext: trust(), checkServerIdentity: () => undefined };
    case 'full':
      return { secureContext: trust() };
  }
}

/** For {@link withSocket}: the name to ask for and to verify is `virtualhost`, or else the real server's address. */
export function tlsTo(
  settings: Pick<CheckSettings, 'tlsverify' | 'virtualhost' | 'address'>,
  parts: Pick<CheckerParts, 'trust'>,
): ConnectionOptions {
  const { virtualhost, address } = settings;
  // an address is nothing to ask for (RFC 6066, section 3), but something to verify
  const name = virtualhost === undefined ? { host: address } : { host: virtualhost, servername: virtualhost };
  return { ...name, ...tlsOptions(settings, parts) };
}

/** With what is wrong about the certificate, or with TLS itself: `certificate verify failed: certificate has expired`. */
export function tlsFailure(error: unknown): string {
  const text = tlsError(error);
  if (!(error instanceof Error)) return text;
  if (!('reason' in error)) return text === 'certificate verify failed' ? `${text}: ${error.message}` : text;
  // OpenSSL's own errors begin with a number and end with a line of its source
  const what = text === error.message ? 'TLS failed' : text;
  return `${what}: ${String(error.reason)}`;
}

/** In ldirectord's words. */
export function tlsError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'hostname verification failed';
  return certificateErrors.test(code) ? 'certificate verify failed' : errorText(error);
}

/** OpenSSL's X509_V_ERR names as Node gives them. */
const certificateErrors =
  /^(UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_|CERT_|CRL_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH)/;
