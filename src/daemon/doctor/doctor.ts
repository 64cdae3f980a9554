/** The command `directord doctor`: what on this host would lose packets, and the commands that mend it. */
import type { DoctorCommand } from '../../cli/host-commands.ts';
import type { Streams } from '../../cli/directord.ts';
import type { Configuration } from '../../config/model.ts';
import { Director } from '../../director/director.ts';
import type { EngineName } from '../../engines/engine.ts';
import { chooseEngine, idleOptions } from '../engine-choice.ts';
import { loadOrExplain } from '../load.ts';
import type { User } from '../places.ts';
import { refusals } from '../refusals.ts';
import { examine } from './examine.ts';
import type { Finding } from './finding.ts';
import { fail, ok, report } from './finding.ts';
import { gather } from './gather/gather.ts';

/** @returns the exit code: 0, 1 when something would lose packets, 2 for a bad file */
export async function doctor(command: DoctorCommand, streams: Streams, { uid }: User): Promise<number> {
  const loaded = command.config === undefined ? undefined : await loadOrExplain(command.config, streams);
  if (typeof loaded === 'number') return loaded;
  const virtuals = loaded?.virtuals ?? [];
  const { engine, findings } = await examineEngine(command, loaded);
  const all = [
    ...findings,
    ...examine(await gather(virtuals, { engine, uid, attach: command.attach }), virtuals),
  ];
  streams.out(`${loaded?.file ?? 'this host'}, ${engine} engine\n${report(all)}`);
  return all.some(({ level }) => level === 'fail') ? 1 : 0;
}

/** The engine that a daemon would run with, and what it will not forward. */
async function examineEngine(
  { engine: wished }: DoctorCommand,
  configuration: Configuration | undefined,
): Promise<{ readonly engine: EngineName; readonly findings: readonly Finding[] }> {
  const silent = { info: () => undefined, problem: () => undefined };
  try {
    const director = new Director({ applied: () => undefined });
    const { engine } = await chooseEngine(wished, silent, director, idleOptions);
    const refused = configuration === undefined ? [] : refusals(configuration, engine);
    const findings = refused.map(({ at, message }) =>
      fail(`${engine.name} engine`, `${at === undefined ? '' : `line ${at.line}: `}${message}`),
    );
    return { engine: engine.name, findings: refused.length > 0 ? findings : [ok('engine', engine.name)] };
  } catch (error) {
    // Whoever asks for an engine may ask what it would need.
    if (wished === 'auto') throw error;
    return { engine: wished, findings: [fail('engine', (error as Error).message)] };
  }
}
