/**
 * PROXY protocol header (haproxy.org, proxy-protocol.txt, versions 1 and 2): tells a real server behind the relay the
 * client's address, which a relayed connection otherwise hides.
 */
import type { ConnectionKey } from '../../connections/connection-key.ts';

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** Version 2, command PROXY. */
const PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

export function proxyHeader(version: 'v1' | 'v2', key: ConnectionKey): Uint8Array {
  return version === 'v1' ? textHeader(key) : binaryHeader(key);
}

function textHeader(key: ConnectionKey): Uint8Array {
  const family = key.family === 4 ? 'TCP4' : 'TCP6';
  return new TextEncoder().encode(
    `PROXY ${family} ${key.clientAddress()} ${key.virtualAddress()} ${key.clientPort} ${key.virtualPort}\r\n`,
  );
}

function binaryHeader(key: ConnectionKey): Uint8Array {
  const words = key.family === 4 ? 1 : 4;
  const addresses = 2 * 4 * words + 4;
  const bytes = new Uint8Array(16 + addresses);
  const view = new DataView(bytes.buffer);
  bytes.set(SIGNATURE);
  bytes[12] = PROXY;
  bytes[13] = key.family === 4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
  view.setUint16(14, addresses);
  for (let word = 0; word < words; word++) {
    view.setInt32(16 + 4 * word, key.client[word] ?? 0);
    view.setInt32(16 + 4 * (words + word), key.virtual[word] ?? 0);
  }
  view.setUint16(16 + 8 * words, key.clientPort);
  view.setUint16(18 + 8 * words, key.virtualPort);
  return bytes;
}
