import fc from 'fast-check';
import t from 'tap';
import { findCallId } from '../../src/wire/sip-call-id.ts';

/** The packet stories `sip-headers` tell what the kernel finds; here are the bounds. */
function callIdOf(message: string, before = '', behind = ''): string | undefined {
  const bytes = Buffer.from(`${before}${message}${behind}`, 'latin1');
  return findCallId(bytes, before.length, before.length + message.length);
}

void t.test('a Call-ID ends within the message, and does not begin before it', (t) => {
  const message = 'ACK\r\nCall-ID: abc@host\r\n\r\n';
  t.equal(callIdOf(message), 'abc@host');
  for (let end = 0; end < message.length; end++) {
    const whole = end > message.indexOf('host') + 3 + 1;
    t.equal(
      callIdOf(message.slice(0, end), '', message.slice(end)),
      whole ? 'abc@host' : undefined,
      `${end} bytes`,
    );
  }
  t.equal(callIdOf('i: abc\r\n', '\r\n'), undefined, 'the line break is not in it');
  t.end();
});

void t.test('bytes are characters: letters of ISO 8859-1 belong to it, no other byte above 127', (t) => {
  for (let byte = 128; byte < 256; byte++) {
    const callId = `a${String.fromCharCode(byte)}b`;
    const isLetter = byte >= 0xc0 && byte !== 0xd7 && byte !== 0xf7;
    t.equal(callIdOf(`\ni: ${callId}\n`), isLetter ? callId : undefined, `0x${byte.toString(16)}`);
  }
  t.end();
});

void t.test('any bytes: what is found is in them, between a header and a line break', (t) => {
  const piece = fc.constantFrom(
    '\r',
    '\n',
    ' ',
    '\t',
    ':',
    '@',
    'i',
    'Call-ID',
    'call-id:',
    'x',
    ';',
    '\r\n',
    '\0',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('');
      const found = callIdOf(text);
      if (found === undefined) return true;
      const at = text.indexOf(found, text.search(/[\r\n](i|call-id)/i));
      return /^[^\s@]+(@[^\s@]+)?$/.test(found) && at > 0 && text.includes(found, at) && found.length <= 255;
    }),
    { numRuns: 5000 },
  );
  t.end();
});

void t.test('a message as long as a datagram can be takes no time to look through', (t) => {
  const long = '\r\ni:@'.repeat(13000);
  const start = performance.now();
  t.equal(callIdOf(long), undefined);
  t.ok(performance.now() - start < 100);
  t.end();
});
