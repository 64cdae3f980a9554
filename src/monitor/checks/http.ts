/**
 * Http and https checks: up when the final answer is 2xx and its body matches. One request a connection, redirects
 * followed, everything within the check's one deadline (RFC 9110, RFC 9112).
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { RequestOptions } from 'node:https';
import { request as httpsRequest } from 'node:https';
import type { CheckSettings } from '../../config/model.ts';
import { familyOf } from '../../util/ip.ts';
import type { Ask, CheckerParts, Verdict } from './ask.ts';
import { answerLimitBytes, down, received, up } from './ask.ts';
import { tlsError, tlsOptions } from './tls.ts';

const ourHeaders = { 'User-Agent': 'directord', Connection: 'close' };
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
    if (target === undefined) return judge(response, settings, signal, parts);
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
    headers: host === undefined ? ourHeaders : { ...ourHeaders, Host: host },
    agent: false,
    signal,
    // A sloppy header is no reason to take a server out of service.
    insecureHTTPParser: true,
    maxHeaderSize: 64 * 1024,
  };
  const secure = url.protocol === 'https:';
  const proxied = settings.service === 'http_proxy' && !secure;
  // Node takes the name for SNI, and for `tlsverify = full` the name to verify, from the Host header, or from the URL without one.
  const request = secure
    ? httpsRequest(url, { ...options, ...tlsOptions(settings, parts) })
    : httpRequest(url, proxied ? { ...options, ...throughProxy(url, settings) } : options);
  // of what goes wrong in the middle of a body, whoever reads that is told
  request.on('error', () => undefined);
  try {
    const responded = once(request, 'response') as Promise<[IncomingMessage]>;
    request.end();
    const [response] = await responded;
    return response;
  } catch (error) {
    request.destroy();
    signal.throwIfAborted();
    const asked = proxied ? `${bareAddress(settings)}:${settings.port}` : `${url.host}${defaultPort(url)}`;
    throw new Error(`500 ${failure(error, request.socket?.bytesRead ?? 0, asked)}`, { cause: error });
  }
}

async function judge(
  response: IncomingMessage,
  ...[settings, signal, parts]: Parameters<Ask>
): Promise<Verdict> {
  const { receive, httpmethod } = settings;
  const { statusCode = 0, statusMessage = '' } = response;
  const status = `${statusCode} ${statusMessage}`;
  const text = await body(response).catch(() => undefined);
  signal.throwIfAborted();
  if (statusCode < 200 || statusCode > 299) return down(status);
  if (text === undefined) return down(`${status}, but the body was cut off`);
  // An answer to HEAD has no body that could match.
  if (httpmethod === 'HEAD' || (await received(settings, [text], signal, parts)) !== undefined)
    return up(status);
  return down(`${status}, but the body does not match "${receive?.text ?? ''}"`);
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

/** The proxy is the server that is asked, for a page of another. */
function throughProxy({ href, host }: URL, { address, port }: CheckSettings): RequestOptions {
  return { hostname: address, port, path: href, headers: { ...ourHeaders, Host: host } };
}

/** In the words of libwww-perl, which operators look for in their logs. */
function failure(error: unknown, heard: number, asked: string): string {
  const hungUp = error instanceof Error && error.message === 'socket hang up';
  if (hungUp && heard > 0) return 'Server closed connection in the middle of its headers';
  if (hungUp) return 'Server closed connection without sending any data back';
  return `Can't connect to ${asked} (${tlsError(error)})`;
}

function defaultPort({ port, protocol }: URL): string {
  if (port !== '') return '';
  return protocol === 'https:' ? ':443' : ':80';
}
