/** Everything an operator should know about a good configuration before relying on it. */
import type { Configuration, Diagnostic } from '../config/model.ts';
import type { Engine } from '../engines/engine.ts';
import { notActedOn } from './not-acted-on.ts';
import { refusals } from './refusals.ts';

export function warningsAbout(
  configuration: Configuration,
  engine: Pick<Engine, 'refuses'>,
): readonly Diagnostic[] {
  return [...empty(configuration), ...notActedOn(configuration), ...refusals(configuration, engine)];
}

function empty({ file, virtuals }: Configuration): readonly Diagnostic[] {
  if (virtuals.length > 0) return [];
  return [{ severity: 'warning', file, message: 'no virtual= section: there is nothing to forward' }];
}
