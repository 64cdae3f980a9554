/**
 * The programs on this host's interfaces: tc on all, XDP before it where {@link chooseAttachment} says so. Links are pinned, so
 * they stay when the daemon goes; the next one puts its programs into them between two packets.
 */
import { Ethtool } from '../../platform/ethtool.ts';
import type { Attachment, XdpState } from '../../platform/bpf/bpf-link.ts';
import { attachTc, attachXdp, openPinned, xdpOn } from '../../platform/bpf/bpf-link.ts';
import type { BpfProgram } from '../../platform/bpf/bpf-program.ts';
import type { ClsactPlace } from '../../platform/bpf/clsact.ts';
import { findClsact } from '../../platform/bpf/clsact.ts';
import type { Link } from '../../platform/netlink.ts';
import { captureLinks, ethernetLinks } from '../interfaces.ts';
import type { AttachChoice, AttachMode, InterfaceFacts } from './attach-choice.ts';
import { chooseAttachment } from './attach-choice.ts';
import type { PinnedAttachment, Pins } from './pins.ts';

export interface AttachmentsParts {
  readonly xdp: BpfProgram;
  readonly tc: BpfProgram;
  readonly pins: Pick<Pins, 'attachment' | 'attachments'>;
  readonly mode: AttachMode;
  /** Of the daemon: two may be on the same interface. */
  readonly instance: string;
  /** For tests; by default tcx where the kernel has it. */
  readonly method?: 'tcx' | 'clsact';
  problem(message: string): void;
  info(message: string): void;
}

interface Attached {
  readonly link: Link;
  tc: Attachment | undefined;
  xdp: Attachment | undefined;
  /** The choice that was last acted on, and what came of it. */
  choice: string;
}

export class Attachments {
  readonly #parts: AttachmentsParts;
  readonly #attached = new Map<number, Attached>();
  readonly #said = new Set<string>();

  constructor(parts: AttachmentsParts) {
    this.#parts = parts;
  }

  /** Attaches to interfaces that came up, forgets those that went, and chooses anew where an interface has changed. */
  refresh(links: readonly Link[]): void {
    const loopback = links.filter((link) => link.loopback);
    const stays = new Set([...ethernetLinks(links), ...loopback].map(({ index }) => index));
    for (const [index, attached] of this.#attached) if (!stays.has(index)) this.#detach(index, attached);
    const up = [...captureLinks(links), ...loopback.filter((link) => link.up)];
    const comes = new Set(up.map(({ index }) => index));
    for (const pinned of this.#parts.pins.attachments()) {
      if (!stays.has(pinned.interfaceIndex)) openPinned(pinned.path)?.detach();
      else if (!comes.has(pinned.interfaceIndex)) this.#renew(pinned);
    }
    for (const link of up) this.#attach(link, links);
  }

  /** Interfaces that take frames which XDP sends to them: a driver that has XDP, or all, when it is the kernel that does it. */
  redirectable(): ReadonlySet<number> {
    const kinds = new Set(Array.from(this.#attached.values(), ({ xdp }) => xdp?.kind));
    const everywhere = kinds.has('xdp-generic') && !kinds.has('xdp');
    const able = [...this.#attached].filter(([, { xdp }]) => xdp?.kind === 'xdp' || everywhere);
    return new Set(able.map(([index]) => index));
  }

  /** `eth0 (XDP, tc), front (tc)`. */
  describe(): string {
    return Array.from(this.#attached.values(), ({ link, xdp, tc }) => {
      const how = [xdp && (xdp.kind === 'xdp' ? 'XDP' : 'generic XDP'), tc && 'tc'];
      return `${link.name} (${how.filter((word) => word !== undefined).join(', ')})`;
    }).join(', ');
  }

  /** Takes the programs off all interfaces. */
  detach(): void {
    for (const [index, attached] of this.#attached) this.#detach(index, attached);
  }

  /** Lets go: the programs stay where they are. */
  close(): void {
    for (const { xdp, tc } of this.#attached.values()) {
      xdp?.close();
      tc?.close();
    }
    this.#attached.clear();
  }

  #attach(link: Link, links: readonly Link[]): void {
    const { index, name } = link;
    let attached = this.#attached.get(index);
    if (attached === undefined || attached.link.name !== name) {
      attached = { link, tc: attached?.tc, xdp: attached?.xdp, choice: attached?.choice ?? '' };
      this.#attached.set(index, attached);
    }
    try {
      attached.tc ??= this.#attachTc(index);
    } catch (error) {
      this.#say('problem', `no packets of ${name}: ${(error as Error).message}`);
      if (attached.xdp === undefined) this.#attached.delete(index);
      return;
    }
    const pinned = this.#pinnedXdp(attached);
    const own = pinned?.programId;
    const facts = interfaceFacts(link, links, ({ programId }) => programId === own);
    const choice = chooseAttachment(facts, this.#parts.mode);
    const words = JSON.stringify(choice);
    if (words === attached.choice) {
      if (pinned !== attached.xdp) pinned?.close();
      return;
    }
    attached.choice = words;
    if (choice.xdp === 'none') {
      pinned?.detach();
      attached.xdp = undefined;
      if (facts.otherXdp !== undefined) this.#say('info', `${name}: tc only: ${choice.reason}`);
    } else if (attached.xdp === undefined) {
      const generic = pinned?.kind === 'xdp-generic';
      pinned?.close();
      attached.xdp = this.#attachXdp(link, choice, generic);
    }
  }

  /** On an interface that is down: when it comes up, no program of a former daemon goes on. */
  #renew({ kind, path }: PinnedAttachment): void {
    const attachment = openPinned(path);
    if (attachment === undefined) return;
    if (attachment.interfaceIndex !== 0) attachment.replace(this.#parts[kind === 'xdp' ? 'xdp' : 'tc']);
    attachment.close();
  }

  #attachTc(index: number): Attachment {
    const { tc, pins, instance, method } = this.#parts;
    const pin = pins.attachment('tcx', index);
    return attachTc(tc, index, { pin, clsact: placeOf(instance), ...(method && { method }) });
  }

  /** Of this daemon, or of the one before it. */
  #pinnedXdp({ link, xdp }: Attached): Attachment | undefined {
    return xdp ?? openPinned(this.#parts.pins.attachment('xdp', link.index));
  }

  /** @param generic whether it was so until now */
  #attachXdp({ index, name }: Link, { xdp: wanted }: AttachChoice, generic: boolean): Attachment | undefined {
    const { xdp, pins } = this.#parts;
    const pin = pins.attachment('xdp', index);
    try {
      if (wanted !== 'forced' || !generic) return attachXdp(xdp, index, { pin });
    } catch (error) {
      const reason = (error as Error).message;
      if (wanted === 'native') {
        this.#say('info', `${name}: tc only: ${reason}`);
        return undefined;
      }
      this.#say('problem', `${name}: generic XDP, which is slower than tc: ${reason}`);
    }
    try {
      return attachXdp(xdp, index, { pin, generic: true });
    } catch (error) {
      this.#say('problem', `${name}: tc only: ${(error as Error).message}`);
      return undefined;
    }
  }

  #detach(index: number, { xdp, tc, link }: Attached): void {
    this.#attached.delete(index);
    for (const attachment of [xdp, tc]) {
      try {
        attachment?.detach();
      } catch (error) {
        this.#say('info', `${link.name}: ${(error as Error).message}`);
      }
    }
  }

  /** Once. */
  #say(level: 'info' | 'problem', message: string): void {
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.#parts[level](message);
  }
}

/** Takes away the filters that a daemon left on interfaces: where there is no tcx, nothing is pinned that could be removed. */
export function detachFilters(links: readonly Link[], instance: string): void {
  for (const { index } of links) {
    findClsact({ interfaceIndex: index, direction: 'ingress', ...placeOf(instance) })?.detach();
  }
}

const priority = 0xd1;

function placeOf(instance: string): ClsactPlace {
  return { priority, handle: instance === 'default' ? 1 : Number.parseInt(instance, 16) >>> 0 || 1 };
}

const mergingFeatures = ['rx-lro', 'rx-gro-hw'];
const carried = new Set(['vlan', 'macvlan', 'macvtap', 'ipvlan']);

/** As far as its name tells. */
export function isOurXdp({ name }: XdpState): boolean {
  return name === 'xdp_director';
}

/** @param isOurs whether the XDP program that is on it is our own */
export function interfaceFacts(
  link: Link,
  links: readonly Link[],
  isOurs: (xdp: XdpState) => boolean,
): InterfaceFacts {
  const { index, name, loopback, kind, mtu } = link;
  const xdp = loopback ? undefined : xdpOn(index);
  return {
    name,
    loopback,
    kind,
    mtu,
    merging: loopback ? [] : merging(name),
    carries: links
      .filter((upper) => upper.lower === index && carried.has(upper.kind))
      .map((upper) => upper.name),
    otherXdp: xdp === undefined || isOurs(xdp) ? undefined : xdp.name,
  };
}

function merging(name: string): readonly string[] {
  try {
    const features = new Ethtool(name).features();
    return features
      .filter((feature) => feature.active && mergingFeatures.includes(feature.name))
      .map((feature) => feature.name);
  } catch {
    // it went away, or its driver knows no features
    return [];
  }
}
