/** What the packet engine cannot do. */
import type { Engine } from '../engine.ts';
import { forwardingRefusal } from '../forwarding-refusal.ts';

export const refusal: Engine['refuses'] = (service, settings, destination) =>
  forwardingRefusal('packet', service, settings, destination);
