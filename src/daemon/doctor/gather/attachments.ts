/** Whether the ebpf engine can work on this host, and where it would attach itself. */
import type { AttachChoice, AttachMode } from '../../../engines/ebpf/attach-choice.ts';
import { chooseAttachment } from '../../../engines/ebpf/attach-choice.ts';
import { captureLinks } from '../../../engines/interfaces.ts';
import type { Link } from '../../../platform/netlink.ts';

export interface BpfFacts {
  /** Why libbpf cannot be loaded. */
  readonly unloadable?: string;
  readonly bpfRefused?: string;
  readonly attachments?: ReadonlyMap<string, AttachChoice>;
}

export async function gatherBpf(links: readonly Link[], mode: AttachMode): Promise<BpfFacts> {
  const { interfaceFacts, isOurXdp } = await import('../../../engines/ebpf/attachments.ts');
  const { probeSupport } = await import('../../../platform/bpf/probe.ts');
  const { libbpf, load } = probeSupport();
  if (!libbpf.available) return { unloadable: libbpf.reason };
  const up = [...captureLinks(links), ...links.filter(({ loopback, up }) => loopback && up)];
  const attachments = new Map(
    up.map((link) => [link.name, chooseAttachment(interfaceFacts(link, links, isOurXdp), mode)]),
  );
  return { attachments, ...(!load.available && { bpfRefused: load.reason }) };
}
