/** What fake servers answer where a recording does not show it: the least that each protocol takes. */
import { createHash } from 'node:crypto';

/** @param mode `ok`, or a status line such as `404 Not Found`; redirects go to the same page by its whole name */
export function httpAnswer(request: Buffer, mode: string): string {
  const [method = '', target = '/'] = request.toString('latin1').split(' ');
  const status = mode === 'ok' ? '200 OK' : mode;
  const body = mode === 'ok' ? 'It works: Test Page\n' : `${mode}\n`;
  const location = mode.startsWith('3') ? [`Location: ${target}`] : [];
  const headers = [`HTTP/1.1 ${status}`, `Content-Length: ${body.length}`, 'Connection: close', ...location];
  return `${headers.join('\r\n')}\r\n\r\n${method === 'HEAD' ? '' : body}`;
}

/** RFC 4511. Messages of these tests are shorter than 128 bytes, so that every length is one byte. */
export function ldapAnswers(request: Buffer, mode: string): readonly Buffer[] {
  const [id, operation] = [request[4] ?? 0, request[5]];
  const message = (...content: readonly number[]) =>
    Buffer.from([0x30, content.length + 3, 2, 1, id, ...content]);
  const result = (kind: number, code: number) => message(kind, 7, 0x0a, 1, code, 4, 0, 4, 0);
  const [bindRequest, bound, searchRequest, entry, done, wrongPassword] = [0x60, 0x61, 0x63, 0x64, 0x65, 49];
  if (operation === bindRequest) return [result(bound, mode === 'badpw' ? wrongPassword : 0)];
  if (operation !== searchRequest) return [];
  const base = request.subarray(9, 9 + (request[8] ?? 0));
  const name = mode === 'other' ? Buffer.from('o=other') : base;
  const found = message(entry, name.length + 4, 4, name.length, ...name, 0x30, 0);
  return [...(mode === 'empty' ? [] : [found]), result(done, 0)];
}

/** RFC 1035: 192.168.1.77, or that there is no such name. */
export function dnsAnswer(request: Buffer, mode: string): Buffer {
  const [flags, answers] = mode === 'nx' ? [0x8183, 0] : [0x8180, 1];
  const answer = Buffer.from(request);
  answer.writeUInt16BE(flags, 2);
  answer.writeUInt16BE(answers, 6);
  const record = Buffer.from('c00c000100010000003c0004c0a8014d', 'hex');
  return answers === 0 ? answer : Buffer.concat([answer, record]);
}

/** RFC 2865, section 3: with the authenticator that fits this request. */
export function radiusAnswer(request: Buffer, recorded: Buffer, secret: string): Buffer {
  const answer = Buffer.from(recorded);
  request.copy(answer, 1, 1, 2);
  request.copy(answer, 4, 4, 20);
  createHash('md5').update(answer).update(secret).digest().copy(answer, 4);
  return answer;
}

export function sipAnswer(request: Buffer, mode: string): string {
  const lines = request.toString('latin1').split('\r\n');
  const kept = lines.filter((line) => /^(?:Via|To|From|Call-ID|CSeq):/.test(line));
  const status = mode === 'ok' ? '200 OK' : '404 Not Found';
  return [`SIP/2.0 ${status}`, ...kept, 'Content-Length: 0', '', ''].join('\r\n');
}
