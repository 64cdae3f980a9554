/** What the engine needs of this host before it can forward anything: privilege, native packages, the packet filter's tools. */
import type { Facts } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { fail, ok, warn } from '../finding.ts';
import type { Subject } from '../subject.ts';

/** Native packages of each engine, and what the system must have for them. */
const packages = {
  relay: [['koffi', 'npm install']],
  packet: [
    ['koffi', 'npm install'],
    ['cap', 'apt-get install libpcap0.8'],
    ['raw-socket', 'npm rebuild raw-socket'],
  ],
  ebpf: [
    ['koffi', 'npm install'],
    ['libbpf', 'apt-get install libbpf1'],
  ],
} as const;

export function tools(facts: Facts, { virtuals }: Subject): readonly Finding[] {
  const { engine, unloadable, missingTools } = facts;
  const findings: Finding[] = [privilege(facts, virtuals.some(isPrivileged))];
  for (const [name, mend] of packages[engine]) {
    const why = unloadable.get(name);
    if (why === undefined) findings.push(ok(`package ${name}`, 'can be loaded'));
    else
      findings.push(
        fail(`package ${name}`, `the ${engine} engine needs it, and it cannot be loaded: ${why}`, mend),
      );
  }
  if (engine !== 'packet') return findings;
  const filters = ['nft', 'iptables'].filter((tool) => !missingTools.has(tool));
  findings.push(
    filters.length > 0
      ? ok('packet filter', `${filters.join(' and ')} installed`)
      : fail(
          'packet filter',
          'neither nft nor iptables is installed; without one the kernel answers for the services too',
          'apt-get install nftables',
        ),
  );
  return findings;
}

function privilege({ root, engine }: Facts, privileged: boolean): Finding {
  if (root) return ok('privilege', 'root');
  if (engine !== 'relay') return fail('privilege', `the ${engine} engine needs root`, 'run it with sudo');
  if (!privileged)
    return ok('privilege', 'not root, which the relay engine does not need for ports from 1024 up');
  return warn('privilege', 'not root: ports below 1024 need it', 'run it with sudo');
}

function isPrivileged({ service }: Subject['virtuals'][number]): boolean {
  return service.kind === 'address' && service.port < 1024;
}
