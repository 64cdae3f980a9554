/** What the ebpf engine cannot do. */
import type { Engine } from '../engine.ts';
import { forwardingRefusal } from '../forwarding-refusal.ts';

export const refusal: Engine['refuses'] = (service, settings, destination) =>
  forwardingRefusal('ebpf', service, settings, destination);
