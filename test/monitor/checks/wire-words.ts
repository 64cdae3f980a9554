/** What a client said, as text that is the same each time it says the same: without ports, ids and keys. */
import { createHash } from 'node:crypto';

/** @param secret that of a RADIUS server, for what is hidden with it */
export function wordsOf(service: string, said: Buffer, secret = ''): readonly string[] {
  switch (service) {
    case 'dns':
      return [said.subarray(2).toString('hex')];
    case 'dns-tcp':
      return [framed(said).subarray(2).toString('hex')];
    case 'ldap':
    case 'ldaps':
      return ldapMessages(said);
    case 'radius':
      return radiusWords(said, secret);
    case 'sip-udp':
    case 'sip-tcp':
      return linesOf(said).map((line) =>
        line
          .replace(/^(Via: \S+ )\S+(?=;branch)/, '$1HOST:PORT')
          .replace(/^(Call-ID: )[0-9a-f]{16}$/, '$1SIXTEEN-DIGITS'),
      );
    case 'ftp':
      return linesOf(said).map((line) => line.replace(/^(PORT ).*/, '$1ADDRESS'));
    case 'http':
    case 'https':
    case 'http_proxy': {
      // the order of headers means nothing
      const [request = '', ...headers] = linesOf(said);
      return [request, ...headers.sort()];
    }
    default:
      return linesOf(said);
  }
}

function linesOf(said: Buffer): string[] {
  return said
    .toString('latin1')
    .split('\r\n')
    .filter((line) => line !== '');
}

/** The recordings have it without its length. */
function framed(said: Buffer): Buffer {
  return said.length > 2 && said.readUInt16BE(0) === said.length - 2 ? said.subarray(2) : said;
}

function ldapMessages(said: Buffer): readonly string[] {
  const messages: string[] = [];
  for (let rest = said; rest.length > 1;) {
    const length = 2 + (rest[1] ?? 0);
    messages.push(rest.subarray(0, length).toString('hex'));
    rest = rest.subarray(length);
  }
  return messages;
}

/** `Access-Request User-Name=u ...`, RFC 2865, section 5. */
function radiusWords(said: Buffer, secret: string): readonly string[] {
  const words = [`code ${said[0] ?? 0}`];
  for (let rest = said.subarray(20); rest.length > 1;) {
    const [type = 0, length = 0] = rest;
    const value = rest.subarray(2, length);
    words.push(`${type}: ${type === passwordType ? shown(value, said, secret) : radiusValue(type, value)}`);
    rest = rest.subarray(Math.max(length, 2));
  }
  return words;
}

const [passwordType, addressType, signatureType] = [2, 4, 80];

function radiusValue(type: number, value: Buffer): string {
  if (type === signatureType) return 'SIGNATURE';
  return type === addressType ? 'ADDRESS' : value.toString('latin1');
}

/** One block is enough for passwords up to 16 characters. */
function shown(hidden: Buffer, said: Buffer, secret: string): string {
  const mask = createHash('md5').update(secret).update(said.subarray(4, 20)).digest();
  return Buffer.from(hidden.map((byte, i) => byte ^ (mask[i] ?? 0)))
    .toString('latin1')
    .replace(/\0+$/, '');
}
