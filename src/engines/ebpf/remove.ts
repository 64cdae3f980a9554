/** Ends the forwarding that a daemon with the ebpf engine has left in place. */
import { openPinned } from '../../platform/bpf/bpf-link.ts';
import { Netlink } from '../../platform/netlink.ts';
import type { EngineEvents } from '../engine.ts';
import { detachFilters } from './attachments.ts';
import { lost, removePinned } from './load-pinned.ts';
import { Pins } from './pins.ts';

export function removeEbpf(instance: string, events: Pick<EngineEvents, 'info'>): void {
  const own = new Pins(instance);
  for (const pins of [own, ...own.otherLayouts()].filter(({ exist }) => exist)) {
    events.info(`The ebpf engine forwarded here without a daemon; ended${lost(pins)}`);
    const netlink = new Netlink();
    detachFilters(netlink.links(), instance);
    netlink.close();
    // the kernel takes its time with links that are only unpinned
    for (const { path } of pins.attachments()) openPinned(path)?.detach();
    removePinned(pins, events);
  }
}
