import t from 'tap';
import { which } from '../lab/paths.ts';
import { Place } from './place.ts';
import { longPassword, radiusServerVersion, secret, startRadiusServer } from './radius-server.ts';
import { checkRow, probe } from './row.ts';

const login = (name: string, password: string): readonly string[] => [
  'service=radius',
  `login="${name}"`,
  `passwd="${password}"`,
  `secret="${secret}"`,
];

checkRow({
  service: 'radius',
  program: 'freeradius',
  version: radiusServerVersion,
  protocol: 'udp',
  start: startRadiusServer,
  good: login('joe', 'pass word'),
  wrong: login('jim', 'pass word'),
  half: 19,
  details: {
    up: /^Access-Accept: Hello Joe$/,
    wrong: /^Access-Reject: Who are you\?$/,
    half: /^timed out after 2 s, ignored: a malformed response$/,
  },
});

const skip = which('freeradius') === undefined ? 'freeradius is not installed' : false;
void t.test('radius: logins', { skip }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const port = await startRadiusServer(place);
  const logins: readonly [what: string, lines: readonly string[], up: boolean, detail: RegExp][] = [
    ['a wrong password', login('joe', 'password'), false, /^Access-Reject\b/],
    ['a long password', login('long', longPassword), true, /^Access-Accept$/],
    ['a long password that is wrong', login('long', longPassword.slice(1)), false, /^Access-Reject$/],
    [
      'too long a password',
      login('long', `${longPassword}p`),
      false,
      /^the password is longer than 128 bytes$/,
    ],
    ['more questions', login('stepwise', 'x'), false, /^Access-Challenge: And the number in your app\?$/],
    ['no login', ['service=radius', `secret="${secret}"`], false, /^Access-Reject: Who are you\?$/],
    [
      'a wrong secret',
      [...login('joe', 'pass word').slice(0, 3), 'secret="other"'],
      false,
      /^timed out after 2 s$/,
    ],
    ['no secret', login('joe', 'pass word').slice(0, 3), false, /^timed out after 2 s$/],
  ];
  const sections = logins.map(([, lines]) => ({ address: '127.0.0.1', port, lines }));
  const { found, output } = await probe(place, sections, { protocol: 'udp' });
  logins.forEach(([what, , up, detail], i) => {
    t.equal(found[i]?.up, up, `${what}: ${up ? 'up' : 'down'}`);
    t.match(found[i]?.detail, detail, `${what}: why`);
  });
  t.notMatch(output, /pass word|ppp|testing/, 'nothing that is secret is told');
  if (!t.passing()) t.comment(output);
});
