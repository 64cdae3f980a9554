/** What the checks of databases have in common: log in, run the operator's query once, and be up when it gives a row. */
import type { CheckSettings } from '../../config/model.ts';
import type { Ask, CheckerParts, Verdict } from './ask.ts';
import { down, up } from './ask.ts';
import { errorText } from './error-text.ts';

/** What a query came to. */
export interface Outcome {
  /** Program and version as the server gives them: `PostgreSQL 15.4`. */
  readonly server: string;
  /** Rows it gave or, where it was not a SELECT, changed. */
  readonly rows: number;
}

/** A check that needs a library: `load` imports it, and is asked again each time as long as that fails. */
export function sqlCheck<Library>(
  name: string,
  load: () => Promise<Library>,
  ask: (library: Library, query: string, ...asked: Parameters<Ask>) => Promise<Verdict>,
): Ask {
  return async (settings, signal, parts) => {
    const query = queryOf(settings, parts);
    if (query === undefined) return down('no login or no request');
    let library: Library;
    try {
      library = await load();
    } catch (error) {
      return down(notLoaded(settings, name, error));
    }
    return ask(library, query, settings, signal, parts);
  };
}

export function judge({ server, rows }: Outcome): Verdict {
  return rows > 0 ? up(`${server}: ${rows} ${rows === 1 ? 'row' : 'rows'}`) : down(`${server}: no row`);
}

/** The leading slash is the parser's. */
function queryOf({ login, request, address }: CheckSettings, parts: CheckerParts): string | undefined {
  const query = request.replace(/^\//, '');
  if (login !== '' && query !== '') return query;
  parts.log(
    `Error: Must specify a login and request string for MySQL, Oracle and PostgreSQL checks. Not adding ${address}.`,
  );
  return undefined;
}

function notLoaded({ service }: CheckSettings, name: string, error: unknown): string {
  const missing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
  const reason = missing ? 'is not installed' : `cannot be loaded (${errorText(error)})`;
  return `the ${service} check needs the npm package ${name}, which ${reason}`;
}
