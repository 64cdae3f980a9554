/** The one checker the monitor uses: picks the check, measures it, and makes a down result of everything thrown. */
import type { CheckSettings } from '../../config/model.ts';
import { isPing } from '../check.ts';
import type { Checker } from '../check.ts';
import type { Ask, CheckerParts, Verdict } from './ask.ts';
import { down, up } from './ask.ts';
import { checkConnect } from './connect.ts';
import { errorText } from './error-text.ts';
import { checkExternal, checkExternalPerl } from './external.ts';
import { checkNegotiate } from './negotiate.ts';
import { checkPing } from './ping.ts';
import { oneLine } from '../../util/one-line.ts';

/** Characters. */
const detailLimit = 300;

export function createChecker(parts: CheckerParts): Checker {
  return async (settings, signal) => {
    const begun = parts.clock.now();
    const { up, detail } = await ask(settings, signal, parts);
    return { up, detail: shown(withoutSecrets(detail, settings)), milliseconds: parts.clock.now() - begun };
  };
}

/** Some servers repeat what they refuse. A secret of a letter or two is in any text. */
function withoutSecrets(detail: string, { password, secret }: CheckSettings): string {
  return [password, secret]
    .filter(({ length }) => length > 2)
    .reduce((text, hidden) => text.replaceAll(hidden, '***'), detail);
}

/** Much of it is what servers say, and nobody knows what that is. */
function shown(detail: string): string {
  const printable = oneLine(detail);
  if (printable === '' && detail !== '') return 'nothing readable';
  return printable.length <= detailLimit ? printable : `${printable.slice(0, detailLimit)}...`;
}

async function ask(...[settings, signal, parts]: Parameters<Ask>): Promise<Verdict> {
  try {
    signal.throwIfAborted();
    return await dispatch(settings, signal, parts);
  } catch (error) {
    return down(errorText(signal.aborted ? signal.reason : error));
  }
}

const dispatch: Ask = async (settings, signal, parts) => {
  switch (settings.type) {
    case 'negotiate':
    case 'combined':
      return checkNegotiate(settings, signal, parts);
    case 'connect':
      return isPing(settings) ? checkPing(settings, signal, parts) : checkConnect(settings, signal, parts);
    case 'ping':
      return checkPing(settings, signal, parts);
    case 'external':
      return checkExternal(settings, signal, parts);
    case 'external-perl':
      return checkExternalPerl(settings, signal, parts);
    case 'on':
      return up('checktype=on');
    case 'off':
      return down('checktype=off');
  }
};
