/** The Call-ID that BPF programs find in a packet is the one that the packet engine finds, in whatever bytes. */
import fc from 'fast-check';
import t from 'tap';
import { findCallId } from '../../../src/wire/sip-call-id.ts';
import { noObject } from '../../support/ebpf-director-supply.ts';
import { skip } from '../../support/ebpf-place.ts';
import { EbpfStories } from '../../support/ebpf-story-subject.ts';
import { encode } from '../../support/packet-encode.ts';
import { beginning } from '../../support/story-runner.ts';

const table = ['-A -u 10.1.0.100:5060 -s rr -p 60 --pe sip', '-a -u 10.1.0.100:5060 -r 10.2.0.11:5060 -m'];
const story = { name: 'calls', about: '', source: '', table, steps: [] };

/** Also as long as a Call-ID may be, with letters and others of ISO 8859-1. */
const word = fc.oneof(
  fc.constantFrom('a', 'i', 'C', 'call-', ':', '-', '\u00e9', '\u00d7', '\u00f7'),
  fc.constantFrom('x'.repeat(251), 'y'.repeat(254), 'z'.repeat(255)),
  fc.stringMatching(/^[A-Za-z0-9.!%*_+`'~()<>:\\"/[\]?{}-]{1,4}$/),
);
const header = fc.constantFrom(
  ...['\r\nCall-ID', '\ncALL-id', '\r\nCall-ID:', '\ncALL-id: ', '\r\ni: ', '\ni:', '\ri : ', '\r\ni:\r\n '],
);
/** What means something, and what is longer than what programs look at in one go. */
const piece = fc.oneof(
  fc.constantFrom('\r', '\n', '\r\n', ' ', '\t', '@', ';', '\0', ' \r\n '),
  header,
  word,
  fc.nat(520).map((length) => 'z'.repeat(length)),
);
const call = fc.tuple(header, word, fc.constantFrom('', '', '@', '@host'), fc.constantFrom('\r\n', '\n', ''));
const pieces = fc.array(piece, { maxLength: 4 });
const message = fc
  .tuple(pieces, fc.array(call, { maxLength: 2 }), pieces)
  .map((parts) => parts.flat(2).join('').slice(0, 1400));

t.test('the same Call-ID as in the packet engine', { skip: skip || noObject }, async (t) => {
  const stories = new EbpfStories();
  t.teardown(() => {
    stories.close();
  });
  let calls = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 50, maxLength: 50 }), async (messages) => {
      const subject = await stories.subject(story, 'tc', beginning);
      const callIds = messages.map((data, i) => {
        const packet = encode({
          ...{ src: '10.1.0.2', dst: '10.1.0.100' },
          udp: { sport: 2000 + i, dport: 5060, data },
        });
        const bytes = Buffer.from(data, 'latin1');
        const callId = findCallId(bytes, 0, bytes.length);
        const wanted = callId === undefined ? 'drop' : 'sent';
        const { verdict } = subject.forward('client', packet, beginning);
        if (verdict !== wanted) t.fail(JSON.stringify(data), { verdict, wanted, callId });
        return callId ?? [];
      });
      const listed = subject.connections(beginning + 1).flatMap(({ engineData }) => engineData?.data ?? []);
      t.strictSame(listed.sort(), [...new Set(callIds.flat())].sort());
      calls += listed.length;
    }),
    { numRuns: 60 },
  );
  t.ok(calls > 500, `${calls} calls`);
});

t.test('calls that are forgotten make room for others', { skip: skip || noObject }, async (t) => {
  const stories = new EbpfStories();
  t.teardown(() => {
    stories.close();
  });
  const forgetting = ['-A -u 10.1.0.100:5060 -s rr -p 3 --pe sip -o', ...table.slice(1)];
  const subject = await stories.subject({ ...story, table: forgetting }, 'tc', beginning);
  let now = beginning;
  const invite = (sport: number, call: string): void => {
    const udp = { sport, dport: 5060, data: `INVITE\r\nCall-ID: ${call}\r\n\r\n` };
    subject.forward('client', encode({ src: '10.1.0.2', dst: '10.1.0.100', udp }), now);
  };
  // twice as many as there is room for
  for (let round = 0; round < 50; round++) {
    subject.advance((now += 10_000));
    t.strictSame(subject.connections(now + 1), []);
    for (let call = 0; call < 100; call++) invite(2000 + call, `${round}-${call}@host`);
  }
  const calls = subject.connections(now + 1).map(({ engineData }) => engineData?.data ?? '');
  t.equal(calls.filter((call) => call.startsWith('49-')).length, 100);
});
