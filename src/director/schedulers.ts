/**
 * Names that a service may ask for. The director only checks them, as the kernel looks a module up; what they do is in
 * `scheduling/`, which the director must not know.
 */

/** `none` is a service without a scheduler: every new connection is refused. */
export const schedulerNames: ReadonlySet<string> = new Set([
  'rr',
  'wrr',
  'lc',
  'wlc',
  'lblc',
  'lblcr',
  'dh',
  'sh',
  'sed',
  'nq',
  'fo',
  'ovf',
  'mh',
  'twos',
  'none',
]);

export const persistenceEngineNames: ReadonlySet<string> = new Set(['sip']);
