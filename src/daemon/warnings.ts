/** Everything an operator should know about a good configuration before relying on it. */
import type { Configuration, Diagnostic } from '../config/model.ts';
import type { Engine } from '../engines/engine.ts';
import { refusals } from './refusals.ts';

export function warningsAbout(
  configuration: Configuration,
  engine: Pick<Engine, 'refuses'>,
): readonly Diagnostic[] {
  return [...empty(configuration), ...forked(configuration), ...refusals(configuration, engine)];
}

function empty({ file, virtuals }: Configuration): readonly Diagnostic[] {
  if (virtuals.length > 0) return [];
  return [{ severity: 'warning', file, message: 'no virtual= section: there is nothing to forward' }];
}

function forked({ file, global }: Configuration): readonly Diagnostic[] {
  if (!global.fork) return [];
  const message = 'fork=yes: not needed here, all checks run at once in one process';
  return [{ severity: 'warning', file, message }];
}
