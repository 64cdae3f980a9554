/**
 * Oracle check: up when the query gives a row. The driver is an optional package that opens its own connection; what is still under way
 * when the check is over ends by the time limits that the driver is given.
 */
import type { CheckSettings } from '../../config/model.ts';
import { oneLine } from '../../util/one-line.ts';
import type { Ask } from './ask.ts';
import { down } from './ask.ts';
import { errorText } from './error-text.ts';
import type { Outcome } from './sql.ts';
import { judge, sqlCheck } from './sql.ts';

/** What is used of the package oracledb. */
export interface OracleDriver {
  getConnection(options: {
    readonly user: string;
    readonly password: string;
    readonly connectString: string;
  }): Promise<OracleConnection>;
}

export interface OracleConnection {
  /** Milliseconds that one exchange with the server may take. */
  callTimeout: number;
  readonly oracleServerVersionString?: string;
  execute(
    sql: string,
    values: Readonly<Record<string, never>>,
    options: { readonly maxRows: number },
  ): Promise<{ readonly rows?: readonly unknown[]; readonly rowsAffected?: number }>;
  close(options?: { readonly drop?: boolean }): Promise<void>;
}

export const oracleCheck = (load: () => Promise<OracleDriver>): Ask =>
  sqlCheck('oracledb', load, async (driver, query, settings, signal) => {
    if (settings.port === 0) return down('no port to connect to');
    try {
      return judge(await orAborted(run(driver, query, settings, signal), signal));
    } catch (error) {
      signal.throwIfAborted();
      return down(oneLine(withoutNumber(errorText(error))));
    }
  });

/** Not a dependency of directord: who has an Oracle server adds it. */
const packageName: string = 'oracledb';

export const checkOracle = oracleCheck(async () => {
  const { default: driver } = (await import(packageName)) as { readonly default: OracleDriver };
  return driver;
});

async function run(
  driver: OracleDriver,
  query: string,
  settings: CheckSettings,
  signal: AbortSignal,
): Promise<Outcome> {
  const { login: user, password, negotiatetimeout } = settings;
  const connection = await driver.getConnection({ user, password, connectString: descriptor(settings) });
  try {
    signal.throwIfAborted();
    connection.callTimeout = negotiatetimeout * 1000;
    const { rows, rowsAffected } = await connection.execute(query, {}, { maxRows: 1 });
    const server = `Oracle ${connection.oracleServerVersionString ?? ''}`.trim();
    return { server, rows: rows?.length ?? rowsAffected ?? 0 };
  } finally {
    // the answer is there, or will not come: nobody waits for a goodbye
    connection.close({ drop: true }).catch(() => undefined);
  }
}

/** `database` is the SID, as it is for ldirectord. */
function descriptor({ address, port, database, negotiatetimeout: seconds }: CheckSettings): string {
  // a little later than the check's own deadline, so that this is the one that speaks
  const limit = seconds + 1;
  const limits = `(CONNECT_TIMEOUT=${limit})(TRANSPORT_CONNECT_TIMEOUT=${limit})(RETRY_COUNT=0)`;
  return `(DESCRIPTION=${limits}(ADDRESS=(PROTOCOL=TCP)(HOST=${address})(PORT=${port}))(CONNECT_DATA=(SID=${database})))`;
}

/** The driver numbers its connections; what is said twice of the same failure shall be the same. */
function withoutNumber(text: string): string {
  return text.replace(/\s*\(CONNECTION_ID=[^)]*\)/g, '');
}

/** What comes of it, or the signal's reason when that is first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort);
    });
  });
}
