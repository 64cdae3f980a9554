/** Directives that this version reads but does not act on, said once at load instead of being dropped in silence. */
import type { Configuration, Diagnostic } from '../config/model.ts';

export function notActedOn({ file, global, virtuals }: Configuration): readonly Diagnostic[] {
  const messages: string[] = [];
  if (global.fork) messages.push('fork=yes: not needed here, all checks run at once in one process');
  if (global.execute.length > 0) {
    messages.push(`execute=${global.execute.join(', ')}: not acted on in this version, start it by itself`);
  }
  const mailed = virtuals.filter(({ emailalert }) => emailalert.to !== '');
  if (global.emailalert.to !== '' || mailed.length > 0) {
    messages.push('emailalert: not acted on in this version, no mail is sent');
  }
  if (virtuals.some(({ monitorfile }) => monitorfile !== undefined)) {
    messages.push('monitorfile: not acted on in this version, nothing is written to it');
  }
  return messages.map((message) => ({ severity: 'warning', file, message }));
}
