import t from 'tap';
import type { Verdict } from '../../../src/monitor/checks/ask.ts';
import type { OracleConnection, OracleDriver } from '../../../src/monitor/checks/oracle.ts';
import { oracleCheck } from '../../../src/monitor/checks/oracle.ts';
import { checkSettings } from '../../support/configuration.ts';
import { needsLoginAndRequest, notInstalled, parts } from './sql.ts';

type Execute = OracleConnection['execute'];

/** A driver whose connections answer so, with what was asked of it and what became of them. */
function fake(execute: Execute) {
  const connection = {
    callTimeout: 0,
    oracleServerVersionString: '19.3.0.0.0',
    execute,
    closed: 0,
    close: () => {
      connection.closed += 1;
      return Promise.reject(new Error('closed already'));
    },
  };
  const connected: Parameters<OracleDriver['getConnection']>[0][] = [];
  const driver: OracleDriver = {
    getConnection: (options) => {
      connected.push(options);
      return Promise.resolve(connection);
    },
  };
  return { driver, connection, connected };
}

const asked = { service: 'oracle', login: 'joe', password: 'secret', database: 'ORCL', port: 1521 } as const;

async function ask(
  load: () => Promise<OracleDriver>,
  { signal = new AbortController().signal, port = 1521, address = '10.2.0.11' } = {},
): Promise<Verdict> {
  const settings = checkSettings({
    ...asked,
    address,
    port,
    request: '/SELECT 1 FROM dual',
    negotiatetimeout: 7,
  });
  return oracleCheck(load)(settings, signal, parts);
}

void t.test('up with a row, down without', async (t) => {
  const queries: unknown[] = [];
  const { driver, connection, connected } = fake((...args) => {
    queries.push(args);
    return Promise.resolve({ rows: [[1]] });
  });
  t.match(await ask(() => Promise.resolve(driver)), { up: true, detail: 'Oracle 19.3.0.0.0: 1 row' });
  t.same(queries, [['SELECT 1 FROM dual', {}, { maxRows: 1 }]]);
  t.match(connection, { closed: 1, callTimeout: 7000 });
  const limits = '(CONNECT_TIMEOUT=8)(TRANSPORT_CONNECT_TIMEOUT=8)(RETRY_COUNT=0)';
  const where = '(ADDRESS=(PROTOCOL=TCP)(HOST=10.2.0.11)(PORT=1521))(CONNECT_DATA=(SID=ORCL))';
  t.same(connected, [{ user: 'joe', password: 'secret', connectString: `(DESCRIPTION=${limits}${where})` }]);
  const none = fake(() => Promise.resolve({ rows: [] }));
  t.match(await ask(() => Promise.resolve(none.driver)), { up: false, detail: 'Oracle 19.3.0.0.0: no row' });
  const changed = fake(() => Promise.resolve({ rowsAffected: 2 }));
  t.match(await ask(() => Promise.resolve(changed.driver)), { up: true, detail: /: 2 rows$/ });
});

void t.test('down, in the words of the driver', async (t) => {
  const refused = () =>
    Promise.reject(new Error('NJS-500: closed\nNJS-521: end-of-file. (CONNECTION_ID=a/+b==)'));
  t.match(await ask(() => Promise.resolve({ getConnection: refused })), {
    up: false,
    detail: 'NJS-500: closed NJS-521: end-of-file.',
  });
  const broken = fake(() => Promise.reject(new Error('ORA-00942: table or view does not exist')));
  t.match(await ask(() => Promise.resolve(broken.driver)), { up: false, detail: /^ORA-00942: / });
  t.equal(broken.connection.closed, 1);
  t.match(await ask(() => Promise.resolve(broken.driver), { port: 0 }), { detail: 'no port to connect to' });
});

void t.test('ends with its deadline, and closes what comes later', async (t) => {
  const abort = new AbortController();
  const { driver, connection } = fake(() => Promise.resolve({ rows: [[1]] }));
  let connect: (value: OracleConnection) => void = () => undefined;
  const slow: OracleDriver = {
    getConnection: () =>
      new Promise((resolve) => {
        connect = resolve;
        setImmediate(() => {
          abort.abort(new Error('too late'));
        });
      }),
  };
  await t.rejects(
    ask(() => Promise.resolve(slow), { signal: abort.signal }),
    { message: 'too late' },
  );
  connect(await driver.getConnection({ user: '', password: '', connectString: '' }));
  await new Promise(setImmediate);
  t.equal(connection.closed, 1);
});

void t.test('needs login and request', (t) => needsLoginAndRequest(t, 'oracle'));

void t.test('a driver that is missing', async (t) => {
  t.match(await ask(notInstalled), {
    up: false,
    detail: 'the oracle check needs the npm package oracledb, which is not installed',
  });
});
