import { readFileSync } from 'node:fs';
import t from 'tap';
import { waitFor } from '../../support/until.ts';
import { which } from '../lab/paths.ts';
import { Place } from './place.ts';
import { startPostfix } from './postfix.ts';
import { checkRow, probe } from './row.ts';

for (const service of ['smtp', 'submission']) {
  checkRow({
    service,
    program: 'postfix',
    version: async (place) => {
      const { stdout } = await place.run([which('postconf') ?? '', '-d', '-h', 'mail_version']);
      return `postfix ${stdout.trim()}`;
    },
    start: startPostfix,
    good: [`service=${service}`],
    wrong: [`service=${service}`],
    half: 40,
    details: {
      up: /^220 mx\.example\.com ESMTP Postfix/,
      wrong: /^554 5\.7\.1 <localhost\[127\.0\.0\.1\]>: Client host rejected: Access denied$/,
      half: /^closed the connection in the middle of "250-/,
    },
  });
}

const skip = which('postfix') === undefined ? 'postfix is not installed' : false;
void t.test('a mail server has nothing to complain of in its log', { skip }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const { good, log } = await startPostfix(place);
  await probe(place, [{ address: '127.0.0.1', port: good, lines: ['service=smtp'] }]);
  const last = await waitFor('the end of the conversation in the log', 10, () =>
    /smtpd\[\d+\]: disconnect.*ehlo.*$/m.exec(readFileSync(log, 'utf8'))?.at(0),
  );
  t.match(last, /disconnect from \S+ ehlo=1 quit=1 commands=2$/);
  t.notMatch(readFileSync(log, 'utf8'), /lost connection after (EHLO|QUIT)|warning|error|fatal/);
});
