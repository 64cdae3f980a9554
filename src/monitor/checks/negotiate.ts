/** Which negotiate check a service has. A service that is missing here is not in this version. */
import type { CheckService, CheckSettings, Configuration } from '../../config/model.ts';
import type { Ask } from './ask.ts';
import { down, up } from './ask.ts';
import { checkHttp } from './http.ts';
import { checkSimpletcp } from './simpletcp.ts';

const checks: Readonly<Partial<Record<CheckService, Ask>>> = {
  http: checkHttp,
  https: checkHttp,
  none: () => Promise.resolve(up('no service to check')),
  simpletcp: checkSimpletcp,
};

export const checkNegotiate: Ask = (settings, signal, parts) => {
  const check = checks[settings.service];
  return check === undefined ? Promise.resolve(down(unsupported(settings))) : check(settings, signal, parts);
};

/** One line for each virtual service whose real servers can never be up, because their check is not in this version. */
export function unsupportedChecks({ virtuals }: Configuration): string[] {
  return virtuals.flatMap(({ label, reals }) => {
    const missing = reals
      .map(({ check }) => check)
      .filter((check) => negotiates(check) && !(check.service in checks));
    const sentences = new Set(missing.map(unsupported));
    return [...sentences].map((sentence) => `${label}: ${sentence}; its real servers stay down`);
  });
}

function negotiates({ type }: CheckSettings): boolean {
  return type === 'negotiate' || type === 'combined';
}

function unsupported({ service }: CheckSettings): string {
  return `the ${service} check is not in this version of directord`;
}
