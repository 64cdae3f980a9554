import t from 'tap';
import { which } from '../lab/paths.ts';
import { login, mariadbVersion, startMariadb } from './mariadb.ts';
import { Place } from './place.ts';
import { probeOne } from './probe.ts';
import { checkRow } from './row.ts';

const query = 'request="SELECT enabled FROM state WHERE enabled = 1"';

checkRow({
  service: 'mysql',
  program: 'mariadbd',
  version: mariadbVersion,
  start: async (place) => (await startMariadb(place)).port,
  good: ['service=mysql', ...login, query],
  wrong: ['service=mysql', ...login, 'request="SELECT enabled FROM state WHERE enabled = 0"'],
  half: 120,
  // to load the library takes a busy machine a while
  deadline: 4,
  details: {
    up: /^\d+\.\d+\.\d+-MariaDB.*: 1 row$/,
    wrong: /^\d+\.\d+\.\d+-MariaDB.*: no row$/,
    half: /^closed the connection$/,
  },
});

const skip = which('mariadbd') === undefined ? 'mariadb-server is not installed' : false;

void t.test('what mariadb says is said', { skip, timeout: 120_000 }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const { port, log } = await startMariadb(place);
  const asked = (lines: readonly string[]) => probeOne(place, port, ['service=mysql', ...lines]);

  const badPassword = await asked(['login="check"', 'passwd="other"', 'database="shop"', query]);
  t.match(badPassword, {
    up: false,
    detail: "Access denied for user 'check'@'127.0.0.1' (using password: YES)",
  });
  t.notMatch(badPassword.said, 'other', 'the password is nowhere');
  t.match(await asked([...login, 'request="SELEKT 1"']), {
    up: false,
    detail: 'You have an error in your SQL syntax',
  });
  t.match(await asked([...login, 'request="SELECT 1 FROM nowhere"']), {
    up: false,
    detail: "Table 'shop.nowhere' doesn't exist",
  });
  t.match(await asked(['login="check"', 'passwd="secret"', 'database="nowhere"', query]), {
    up: false,
    detail: "Access denied for user 'check'@'%' to database 'nowhere'",
  });
  t.match(await asked([...login, 'request="SELECT seq FROM seq_1_to_1000"']), {
    up: true,
    detail: /: 1000 rows$/,
  });
  t.match(await asked([...login, 'request="SELECT REPEAT(\'x\', 1000) FROM seq_1_to_20000"']), {
    up: false,
    detail: /^more than \d+ bytes of answer$/,
  });
  t.match(await asked([...login, 'request="SHOW DATABASES"']), { up: true, detail: /: 2 rows$/ });
  t.notMatch(log(), /Aborted connection .*'shop'.*reading/, 'it was told goodbye');
  t.match(await asked([...login, 'request="SELECT SLEEP(60)"']), {
    up: false,
    detail: 'timed out after 5 s',
  });
  t.match(await asked(login), { up: false, detail: 'no login or no request' });
});

void t.test('a mariadb that wants TLS has it', { skip, timeout: 120_000 }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const { port, log } = await startMariadb(place, { tls: true });
  const good = await probeOne(place, port, ['service=mysql', ...login, query]);
  t.match(good, { up: true, detail: /: 1 row$/ });
  const bad = await probeOne(place, port, ['service=mysql', 'login="check"', 'passwd="no"', query]);
  t.match(bad, { up: false, detail: "Access denied for user 'check'@'127.0.0.1'" });
  t.notMatch(log(), /Aborted connection .*'shop'/, 'it was told goodbye');
});
