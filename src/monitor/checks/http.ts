/**
 * Http and https checks: up when the final answer is 2xx and its body matches. One request a connection, redirects
 * followed, everything within the check's one deadline (RFC 9110, RFC 9112).
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { RequestOptions } from 'node:https';
import { request as httpsRequest } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import type { CheckSettings } from '../../config/model.ts';
import { familyOf } from '../../util/ip.ts';
import type { Ask, CheckerParts, Verdict } from './ask.ts';
import { answerLimitBytes, down, up } from './ask.ts';
import { errorText } from './error-text.ts';

const redirectLimit = 7;
const redirects: ReadonlySet<number | undefined> = new Set([301, 302, 303, 307, 308]);

export const checkHttp: Ask = async (settings, signal, parts) => {
  if (settings.url === undefined || !URL.canParse(settings.url)) {
    return down(`400 URL is not valid: ${settings.url ?? 'none'}`);
  }
  let url = new URL(settings.url);
  let host: string | undefined = settings.virtualhost ?? bareAddress(settings);
  for (let followed = 0; ; followed += 1) {
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      return down(`501 Protocol scheme '${url.protocol.slice(0, -1)}' is not supported`);
    }
    const response = await answer(url, host, settings, signal, parts);
    const target = followed < redirectLimit ? redirectTarget(response, url) : undefined;
    if (target === undefined) return judge(response, settings);
    response.destroy();
    url = target;
    // A redirect names another host; the virtual host was that of the first URL.
    host = undefined;
  }
};

async function answer(
  url: URL,
  host: string | undefined,
  settings: CheckSettings,
  signal: AbortSignal,
  parts: CheckerParts,
): Promise<IncomingMessage> {
  const options: RequestOptions = {
    method: settings.httpmethod,
    headers: {
      'User-Agent': 'directord',
      Connection: 'close',
      ...(host === undefined ? {} : { Host: host }),
    },
    agent: false,
    signal,
    // A sloppy header is no reason to take a server out of service.
    insecureHTTPParser: true,
    maxHeaderSize: 64 * 1024,
  };
  const secure = url.protocol === 'https:';
  const request = secure
    ? httpsRequest(url, { ...options, ...tlsOptions(settings, parts) })
    : httpRequest(url, options);
  try {
    const responded = once(request, 'response') as Promise<[IncomingMessage]>;
    request.end();
    const [response] = await responded;
    return response;
  } catch (error) {
    request.destroy();
    signal.throwIfAborted();
    throw new Error(`500 Can't connect to ${url.host}${defaultPort(url)} (${reason(error)})`, {
      cause: error,
    });
  }
}

type TlsOptions = Pick<ConnectionOptions, 'rejectUnauthorized' | 'secureContext' | 'checkServerIdentity'>;

/** Node takes the name for SNI, and for `full` the name to verify, from the Host header, or from the URL without one. */
function tlsOptions({ tlsverify }: CheckSettings, { trust }: CheckerParts): TlsOptions {
  switch (tlsverify) {
    case 'none':
      return { rejectUnauthorized: false };
    case 'chain':
      return { secureContext: trust(), checkServerIdentity: () => undefined };
    case 'full':
      return { secureContext: trust() };
  }
}

async function judge(response: IncomingMessage, { receive, httpmethod }: CheckSettings): Promise<Verdict> {
  const { statusCode = 0, statusMessage = '' } = response;
  const status = `${statusCode} ${statusMessage}`;
  const text = await body(response);
  if (statusCode < 200 || statusCode > 299) return down(status);
  // An answer to HEAD has no body that could match.
  if (receive === undefined || httpmethod === 'HEAD' || receive.test(text)) return up(status);
  return down(`${status}, but the body does not match ${String(receive)}`);
}

async function body(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Leaving the loop destroys the connection.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= answerLimitBytes) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}

function redirectTarget({ statusCode, headers }: IncomingMessage, from: URL): URL | undefined {
  const { location } = headers;
  if (!redirects.has(statusCode) || location === undefined || !URL.canParse(location, from.href))
    return undefined;
  return new URL(location, from);
}

function bareAddress({ address }: CheckSettings): string {
  return familyOf(address) === 'inet' ? address : `[${address}]`;
}

function defaultPort({ port, protocol }: URL): string {
  if (port !== '') return '';
  return protocol === 'https:' ? ':443' : ':80';
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'hostname verification failed';
  return certificateErrors.test(code) ? 'certificate verify failed' : errorText(error);
}

/** OpenSSL's X509_V_ERR names as Node gives them. */
const certificateErrors =
  /^(UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_|CERT_|CRL_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH)/;
