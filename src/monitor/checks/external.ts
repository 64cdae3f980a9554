/**
 * External checks: a program of the operator's decides, by its exit status. It gets four arguments after its own words:
 * virtual address (or mark) and port, real address and port.
 */
import type { CheckSettings } from '../../config/model.ts';
import { CheckTimeout } from '../check.ts';
import type { Ask, CheckerParts, Verdict } from './ask.ts';
import { down } from './ask.ts';

export const checkExternal: Ask = (settings, signal, parts) => run([], settings, signal, parts);

/** The program is Perl source, whatever its mode and first line say. */
export const checkExternalPerl: Ask = (settings, signal, parts) => run(['perl'], settings, signal, parts);

async function run(
  interpreter: readonly string[],
  settings: CheckSettings,
  signal: AbortSignal,
  parts: CheckerParts,
): Promise<Verdict> {
  const { command, virtualAddress, virtualPort, address, realPort } = settings;
  const words = command.split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return down('no check command');
  const line = [...interpreter, ...words, virtualAddress, String(virtualPort), address, String(realPort)];
  const [file = '', ...args] = line;
  const { status, detail, startError } = await parts.run(file, args, signal);
  if (startError !== undefined) {
    parts.log(`Exiting with exit_status 127: exec(${line.join(' ')}) failed: ${startError}`);
  }
  if (signal.reason instanceof CheckTimeout) {
    parts.log(`system_timeout(${signal.reason.seconds}, ${line.join(' ')}) timed out, kill -TERM child`);
    return down(signal.reason.message);
  }
  return { up: status === 0, detail: startError ?? detail };
}
