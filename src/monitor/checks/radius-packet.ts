/** RADIUS packets of a client: an Access-Request with a PAP password (RFC 2865), and the response to it (RFC 3579 section 3.2). */
import { createHash, createHmac, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import type { Address } from '../../util/ip.ts';
import { addressBytes, familyOf } from '../../util/ip.ts';
import { oneLine } from '../../util/one-line.ts';

const headerBytes = 20;
const packetBytes = 4096;
const accessRequest = 1;
const responses: ReadonlyMap<number, RadiusResponse['code']> = new Map([
  [2, 'Access-Accept'],
  [3, 'Access-Reject'],
  [11, 'Access-Challenge'],
]);
const attributes = {
  userName: 1,
  userPassword: 2,
  nasAddress: 4,
  replyMessage: 18,
  messageAuthenticator: 80,
  nasIPv6Address: 95,
} as const;

export interface RadiusRequest {
  readonly login: string;
  readonly password: string;
  /** What the server and we know. */
  readonly secret: string;
  /** The client's own address. */
  readonly nas: Address;
}

export interface RadiusResponse {
  readonly code: 'Access-Accept' | 'Access-Reject' | 'Access-Challenge';
  /** The Reply-Message attributes; empty without any. */
  readonly message: string;
}

/** @throws when the login or the password is longer than RADIUS can say it */
export function encodeRequest({ login, password, secret, nas }: RadiusRequest): Buffer {
  const authenticator = randomBytes(16);
  const nasType = familyOf(nas) === 'inet' ? attributes.nasAddress : attributes.nasIPv6Address;
  const body = Buffer.concat([
    attribute(attributes.userName, userName(login)),
    attribute(attributes.userPassword, hidden(password, secret, authenticator)),
    attribute(nasType, addressBytes(nas)),
    attribute(attributes.messageAuthenticator, Buffer.alloc(16)),
  ]);
  const header = Buffer.from([accessRequest, randomInt(0x100), 0, 0]);
  header.writeUInt16BE(headerBytes + body.length, 2);
  const packet = Buffer.concat([header, authenticator, body]);
  createHmac('md5', secret)
    .update(packet)
    .digest()
    .copy(packet, packet.length - 16);
  return packet;
}

/** @throws when the datagram is not the response to this request of one who knows the secret */
export function decodeResponse(datagram: Buffer, request: Buffer, secret: string): RadiusResponse {
  const length = datagram.length < headerBytes ? 0 : datagram.readUInt16BE(2);
  if (length < headerBytes || length > packetBytes || length > datagram.length)
    throw new Error('a malformed response');
  // what follows the packet is padding
  const packet = datagram.subarray(0, length);
  const code = responses.get(packet.readUInt8(0));
  if (code === undefined || packet[1] !== request[1]) throw new Error('a response to another request');
  const found = attributesOf(packet);
  const asSigned = Buffer.from(packet);
  request.copy(asSigned, 4, 4, headerBytes);
  const authenticator = createHash('md5').update(asSigned).update(secret).digest();
  if (!timingSafeEqual(authenticator, packet.subarray(4, headerBytes)))
    throw new Error('a response with a wrong authenticator (is the secret right?)');
  const proof = found.find(({ type }) => type === attributes.messageAuthenticator);
  if (proof !== undefined && !proves(proof, asSigned, secret))
    throw new Error('a response with a wrong Message-Authenticator');
  const messages = found.filter(({ type }) => type === attributes.replyMessage);
  return { code, message: messages.map(({ value }) => oneLine(value.toString('utf8'))).join(' ') };
}

interface Attribute {
  readonly type: number;
  readonly value: Buffer;
  /** Of the value, in the packet. */
  readonly offset: number;
}

function attribute(type: number, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([type, 2 + value.length]), value]);
}

function attributesOf(packet: Buffer): Attribute[] {
  const found: Attribute[] = [];
  for (let at = headerBytes; at < packet.length;) {
    const [type = 0, length = 0] = packet.subarray(at, at + 2);
    if (length < 2 || at + length > packet.length) throw new Error('a malformed response');
    found.push({ type, offset: at + 2, value: packet.subarray(at + 2, at + length) });
    at += length;
  }
  return found;
}

/** @param asSigned the packet with the authenticator of the request, over which the proof was made while it was zeros */
function proves({ offset, value }: Attribute, asSigned: Buffer, secret: string): boolean {
  if (value.length !== 16) return false;
  const packet = Buffer.from(asSigned).fill(0, offset, offset + 16);
  return timingSafeEqual(createHmac('md5', secret).update(packet).digest(), value);
}

function userName(login: string): Buffer {
  const bytes = Buffer.from(login);
  if (bytes.length > 253) throw new Error('the login is longer than 253 bytes');
  return bytes;
}

/** RFC 2865 section 5.2: blocks of 16, each mixed with a hash of the secret and of the block before. */
function hidden(password: string, secret: string, authenticator: Buffer): Buffer {
  const clear = Buffer.from(password);
  if (clear.length > 128) throw new Error('the password is longer than 128 bytes');
  const result = Buffer.alloc(Math.max(16, Math.ceil(clear.length / 16) * 16));
  clear.copy(result);
  let before = authenticator;
  for (let block = 0; block < result.length; block += 16) {
    const mask = createHash('md5').update(secret).update(before).digest();
    before = result.subarray(block, block + 16);
    mask.forEach((byte, i) => {
      result[block + i] = (result[block + i] ?? 0) ^ byte;
    });
  }
  return result;
}
