/** What every forwarding method does with the same traffic, in IPv4 and IPv6. */
import { flowSituations } from './flows.ts';
import { icmpSituations } from './icmp.ts';
import type { Script, Version } from './place.ts';
import { addresses, endpoint, Talk, versions } from './place.ts';
import type { Method, Situation } from './situation.ts';
import { methods } from './situation.ts';
import { sizeSituations } from './sizes.ts';

const situations = [...flowSituations, ...icmpSituations, ...sizeSituations];

function script(situation: Situation, method: Method, version: Version): Script {
  const at = addresses[version];
  const vip = endpoint(at.vip, 80);
  const server = endpoint(at.server(1), method.serverPort);
  const letter = situation.protocol === 'tcp' ? '-t' : '-u';
  const talk = new Talk(at.client, at.vip, at.server(1), {
    client: 50001,
    vip: 80,
    server: method.serverPort,
  });
  const setting = { method, version, at, talk };
  return {
    name: `${method.name}-${situation.name}-${version}`,
    about: situation.about,
    ...(situation.sysctl === undefined ? {} : { sysctl: situation.sysctl }),
    ...(situation.mtu === undefined ? {} : { mtu: situation.mtu }),
    table: [`-A ${letter} ${vip} -s rr`, `-a ${letter} ${vip} -r ${server} ${method.words}`],
    steps: situation.steps(setting),
  };
}

export const methodScripts: readonly Script[] = situations.flatMap((situation) =>
  methods
    .filter((method) => situation.methods?.(method) ?? true)
    .flatMap((method) =>
      (situation.versions ?? versions).map((version) => script(situation, method, version)),
    ),
);
