/** Where the ebpf engine takes packets, why there, and whether the kernel compiles its programs. */
import type { AttachChoice } from '../../../engines/ebpf/attach-choice.ts';
import type { Facts } from '../facts.ts';
import { settingOf, sysctl } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { fail, ok, warn } from '../finding.ts';
import type { Subject } from '../subject.ts';

const compiler = 'net/core/bpf_jit_enable';

export function attachments(facts: Facts, { isDirector }: Subject): readonly Finding[] {
  if (facts.engine !== 'ebpf' || !isDirector) return [];
  const refused = facts.bpfRefused;
  return [
    ...(refused === undefined ? [] : [fail('BPF', refused)]),
    ...compiled(facts),
    ...Array.from(facts.attachments ?? [], ([name, choice]) =>
      ok(`attachment of ${name}`, `${programs[choice.xdp]}: ${choice.reason}`),
    ),
    ...notForwarding(facts),
  ];
}

const programs: Readonly<Record<AttachChoice['xdp'], string>> = {
  none: 'tc',
  native: 'XDP and tc',
  forced: 'XDP (generic where the driver has none) and tc',
};

function compiled(facts: Facts): readonly Finding[] {
  if (!facts.settings.has(compiler)) return [];
  const name = 'bpf_jit_enable';
  if (settingOf(facts, compiler) > 0) return [ok(name, String(settingOf(facts, compiler)))];
  return [warn(name, '0: the kernel interprets the programs; expected 1', sysctl(compiler, 1))];
}

/** The kernel looks up a next hop for packets of such interfaces only that forward. */
function notForwarding(facts: Facts): readonly Finding[] {
  if (settingOf(facts, 'net/ipv4/ip_forward') === 0) return [];
  return [...(facts.attachments?.keys() ?? [])].flatMap((name) => {
    const key = `net/ipv4/conf/${name}/forwarding`;
    if (facts.settings.get(key) !== 0) return [];
    const why = '0: the kernel finds no next hop for packets that come in there; expected 1';
    return [warn(`forwarding of ${name}`, why, sysctl(key, 1))];
  });
}
