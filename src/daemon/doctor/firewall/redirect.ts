/** Whether rules accept packets for an address that this host does not have: `-j REDIRECT`, as `directord realserver` adds. */
import type { Address } from '../../../util/ip.ts';
import { familyOf } from '../../../util/ip.ts';
import type { Chain } from './rules.ts';
import { conditionsHold } from './rules.ts';

export function redirects(chains: readonly Chain[], address: Address): boolean {
  const packet = { family: familyOf(address), destination: address };
  return chains.some(
    ({ families, rules }) =>
      families.includes(packet.family) &&
      rules.some(
        (rule) =>
          rule.verdict.kind === 'redirect' &&
          rule.conditions.some(({ field }) => field === 'destination') &&
          conditionsHold(rule, packet) !== 'no',
      ),
  );
}
