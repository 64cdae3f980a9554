/** Where the ebpf engine would attach itself on this host. */
import type { AttachChoice, AttachMode } from '../../../engines/ebpf/attach-choice.ts';
import { chooseAttachment } from '../../../engines/ebpf/attach-choice.ts';
import { captureLinks } from '../../../engines/interfaces.ts';
import type { Link } from '../../../platform/netlink.ts';

/** @returns why it cannot be told, when libbpf cannot be loaded */
export async function gatherAttachments(
  links: readonly Link[],
  mode: AttachMode,
): Promise<ReadonlyMap<string, AttachChoice> | string> {
  const { interfaceFacts, isOurXdp } = await import('../../../engines/ebpf/attachments.ts');
  const { libbpf } = await import('../../../platform/bpf/libbpf.ts');
  try {
    libbpf();
  } catch (error) {
    return (error as Error).message;
  }
  const up = [...captureLinks(links), ...links.filter(({ loopback, up }) => loopback && up)];
  return new Map(
    up.map((link) => [link.name, chooseAttachment(interfaceFacts(link, links, isOurXdp), mode)]),
  );
}
