import t from 'tap';
import { which } from '../lab/paths.ts';
import { Place } from './place.ts';
import { login, postgresVersion, startPostgres } from './postgres.ts';
import { probeOne } from './probe.ts';
import { checkRow } from './row.ts';

const query = 'request="SELECT enabled FROM state WHERE enabled = 1"';

checkRow({
  service: 'pgsql',
  program: 'initdb',
  version: postgresVersion,
  start: async (place) => (await startPostgres(place)).port,
  good: ['service=pgsql', ...login, query],
  wrong: ['service=pgsql', ...login, 'request="SELECT enabled FROM state WHERE enabled = 0"'],
  half: 60,
  // to load the library takes a busy machine a while
  deadline: 4,
  details: {
    up: /^PostgreSQL 1\d\.\d+ .*: 1 row$/,
    wrong: /^PostgreSQL 1\d\.\d+ .*: no row$/,
    half: /^closed the connection$/,
  },
});

const skip = which('initdb') === undefined ? 'postgresql is not installed' : false;

void t.test('what postgres says is said', { skip, timeout: 120_000 }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const { port, log } = await startPostgres(place);
  const asked = (lines: readonly string[]) => probeOne(place, port, ['service=pgsql', ...lines]);

  const badPassword = await asked(['login="check"', 'passwd="other"', 'database="shop"', query]);
  t.match(badPassword, { up: false, detail: 'password authentication failed for user "check"' });
  t.notMatch(badPassword.said, 'other', 'the password is nowhere');
  t.match(await asked([...login, 'request="SELEKT 1"']), {
    up: false,
    detail: 'syntax error at or near "SELEKT"',
  });
  t.match(await asked([...login, 'request="SELECT 1 FROM nowhere"']), {
    up: false,
    detail: 'relation "nowhere" does not exist',
  });
  t.match(await asked(['login="check"', 'passwd="secret"', 'database="nowhere"', query]), {
    up: false,
    detail: 'database "nowhere" does not exist',
  });
  t.match(await asked([...login, 'request="SELECT generate_series(1, 1000)"']), {
    up: true,
    detail: /: 1000 rows$/,
  });
  t.match(await asked([...login, 'request="SELECT repeat(\'x\', 1000) FROM generate_series(1, 20000)"']), {
    up: false,
    detail: /^more than \d+ bytes of answer$/,
  });
  t.match(await asked([...login, 'request="SELECT pg_sleep(60)"']), {
    up: false,
    detail: 'timed out after 5 s',
  });
  const noQuery = await asked(login);
  t.match(noQuery, { up: false, detail: 'no login or no request' });
  t.match(log(), /disconnection: .*user=check database=shop/);
});

void t.test('a postgres that wants TLS has it', { skip, timeout: 120_000 }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const { port, log } = await startPostgres(place, { tls: true });
  const good = await probeOne(place, port, ['service=pgsql', ...login, query]);
  t.match(good, { up: true, detail: /: 1 row$/ });
  const bad = await probeOne(place, port, ['service=pgsql', 'login="check"', 'passwd="no"', query]);
  t.match(bad, { up: false, detail: 'password authentication failed for user "check"' });
  t.notMatch(log(), /unexpected EOF|could not receive|reset by peer/, 'it was told goodbye');
});
