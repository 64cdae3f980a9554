/**
 * The certificate authorities this machine believes. Node brings a list of its own, but operators put their authorities
 * into the system's store (or into SSL_CERT_FILE), and that is the one that ldirectord asks.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { SecureContext } from 'node:tls';
import { createSecureContext } from 'node:tls';

const stores = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** Reads the store at the first call and keeps it: parsing it for each check would cost more than the check. */
export function systemTrust(environment: Readonly<Record<string, string | undefined>>): () => SecureContext {
  let context: SecureContext | undefined;
  return () => {
    const store = environment['SSL_CERT_FILE'] ?? stores.find((file) => existsSync(file));
    context ??= createSecureContext(store === undefined ? {} : { ca: readFileSync(store) });
    return context;
  };
}
