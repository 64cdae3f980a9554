import t from 'tap';
import type { MailFacts } from '../../src/observe/mail.ts';
import { composeMail } from '../../src/observe/mail.ts';

const facts: MailFacts = {
  text: 'Deleted real server: 10.2.0.11:80 (10.1.0.100:80)',
  status: 'running',
  to: 'ops@example.com',
  servicename: undefined,
  comment: undefined,
};
const now = new Date('2026-11-22T08:27:51Z');
const sender = { host: 'lb1', user: 'root', from: undefined };

interface Read {
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Headers unfolded, the body decoded. */
function read(message: string): Read {
  const end = message.indexOf('\r\n\r\n');
  const head = message.slice(0, end).replace(/\r\n(?=[ \t])/g, '');
  const headers = new Map(
    head.split('\r\n').map((line) => {
      const [, name = '', value = ''] = /^([\w-]+): (.*)$/.exec(line) ?? [];
      return [name, value];
    }),
  );
  const body = message.slice(end + 4);
  const isEncoded = headers.get('Content-Transfer-Encoding') === 'base64';
  return { headers, body: isEncoded ? Buffer.from(body, 'base64').toString() : body };
}

void t.test('what ldirectord writes', async (t) => {
  const { envelope, message } = await composeMail(facts, sender, now);
  t.same(envelope, { from: 'root@lb1', to: ['ops@example.com'] });
  const { headers, body } = read(message);
  t.match(Object.fromEntries(headers), {
    From: 'root@lb1',
    To: 'ops@example.com',
    Subject: facts.text,
    Date: 'Sun, 22 Nov 2026 08:27:51 +0000',
    'Message-ID': /^<[\w-]+@lb1>$/,
    'Auto-Submitted': 'auto-generated',
  });
  t.equal(body, `ldirectord host: lb1\r\nLog-Message: ${facts.text}\r\nDaemon-Status: running\r\n`);
});

void t.test('a service with a name and a comment', async (t) => {
  const named = { ...facts, servicename: 'Shop', comment: 'call 4711 before noon' };
  const { headers, body } = read((await composeMail(named, sender, now)).message);
  t.equal(headers.get('Subject'), `[Shop] ${facts.text}`);
  t.equal(
    body,
    `ldirectord host: lb1\r\nLog-Message: [Shop] ${facts.text}\r\nDaemon-Status: running\r\n` +
      '\r\nService name: Shop\r\nComment: call 4711 before noon\r\n',
  );
});

void t.test('whom it goes to, and from whom', async (t) => {
  const to = 'root, "Night, Shift" <night@example.com>, day@example.com';
  const from = '"ldirectord Alerts" <alerts@example.com>';
  const { envelope, message } = await composeMail({ ...facts, to }, { ...sender, from }, now);
  t.same(envelope, { from: 'root@lb1', to: ['root', 'night@example.com', 'day@example.com'] });
  t.match(Object.fromEntries(read(message).headers), { From: from, To: to });
  const bare = await composeMail(facts, { ...sender, from: 'alerts@example.com' }, now);
  t.equal(read(bare.message).headers.get('From'), 'alerts@example.com');
  await t.rejects(composeMail({ ...facts, to: ' , ' }, sender, now), { message: /is no address/ });
});

void t.test(
  'nothing in the configuration makes another header, another recipient or another mail',
  async (t) => {
    const evil = '\r\nBcc: spy@example.com\r\n\r\n.\r\nMAIL FROM:<x>';
    const { envelope, message } = await composeMail(
      { ...facts, text: facts.text + evil, servicename: `Shop${evil}`, comment: evil },
      { ...sender, from: `a@b.c${evil}` },
      now,
    );
    t.same(envelope, { from: 'root@lb1', to: ['ops@example.com'] });
    const { headers, body } = read(message);
    t.same(
      [...headers.keys()],
      [
        'From',
        'To',
        'Subject',
        'Date',
        'Message-ID',
        'Auto-Submitted',
        'MIME-Version',
        'Content-Type',
        'Content-Transfer-Encoding',
      ],
    );
    t.notMatch(body, /^(?:Bcc|\.|MAIL)/m);
    const [to, ...others] = (
      await composeMail({ ...facts, to: 'ops@example.com\r\nRCPT TO:<spy@example.com>' }, sender, now)
    ).envelope.to;
    t.same([/[\s<>]/.test(to ?? ''), others], [false, []]);
  },
);

void t.test('other alphabets and endless lines arrive whole, in lines that any server takes', async (t) => {
  const long = { ...facts, servicename: 'Prüfung 試験', comment: `ä${'x'.repeat(5000)}` };
  const { message } = await composeMail(long, { ...sender, from: 'Jörg <j@example.com>' }, now);
  t.match(message, /^[\r\n -~]*$/, 'ASCII');
  t.ok(message.split('\r\n').every((line) => line.length < 998));
  t.notMatch(message, /[^\r]\n/);
  const { headers, body } = read(message);
  t.match(headers.get('Subject'), /^=\?UTF-8\?Q\?=5BPr=C3=BCfung/);
  t.match(headers.get('From'), /^=\?UTF-8\?Q\?J=C3=B6rg\?= <j@example\.com>$/);
  t.match(body, `Comment: ${long.comment}\r\n`);
});
