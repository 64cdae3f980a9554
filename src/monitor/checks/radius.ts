/** Radius check: up when the server accepts the login. One that does not know us, or has another secret, does not answer at all. */
import type { Ask } from './ask.ts';
import { down, up } from './ask.ts';
import { withDatagrams } from './datagram.ts';
import { decodeResponse, encodeRequest } from './radius-packet.ts';

export const checkRadius: Ask = (settings, signal, parts) =>
  withDatagrams(settings, signal, parts, async (datagrams) => {
    const { login, password, secret } = settings;
    // a link-local address comes with the name of its interface
    const nas = datagrams.local.address.replace(/%.*/, '');
    const request = encodeRequest({ login, password, secret, nas });
    const { code, message } = await datagrams.ask(request, (datagram) =>
      decodeResponse(datagram, request, secret),
    );
    const detail = message === '' ? code : `${code}: ${message}`;
    return code === 'Access-Accept' ? up(detail) : down(detail);
  });
