/** `directord CONFIG check --probe`: asks each real server once, as the daemon would, and changes nothing. */
import type { Probed } from '../cli/directord-probe.ts';
import type { CheckSettings, Configuration } from '../config/model.ts';
import type { CheckResult } from '../monitor/check.ts';
import { questionOf } from '../monitor/check.ts';
import { askInTime } from '../monitor/deadline.ts';
import { Pacer } from '../monitor/pacer.ts';
import { systemClock } from '../util/clock.ts';
import { formatEndpoint } from '../util/ip.ts';
import { createHealthChecks } from './health-checks.ts';

/** @param log of what checks say beside their result */
export async function probe(
  { virtuals, global }: Configuration,
  log: (message: string) => void,
): Promise<readonly Probed[]> {
  const check = createHealthChecks({ maintenanceDirectory: () => global.maintenancedir, log });
  const pacer = new Pacer(systemClock);
  const asked = new Map<string, Promise<CheckResult>>();
  const ask = async (settings: CheckSettings): Promise<CheckResult> => {
    await new Promise<void>((start) => {
      pacer.run(start);
    });
    return askInTime(check, settings, systemClock);
  };
  const probed = virtuals.flatMap(({ id, reals }) =>
    reals.map(async ({ address, port, check: settings }) => {
      const question = questionOf(settings);
      const result = asked.get(question) ?? ask(settings);
      asked.set(question, result);
      return { virtual: id, real: formatEndpoint(address, port), result: await result };
    }),
  );
  const results = await Promise.all(probed);
  pacer.stop();
  return results;
}
