/** All scripts. */
import { changeScripts } from './changes.ts';
import { methodScripts } from './methods.ts';
import { oddityScripts } from './oddities.ts';
import { persistenceScripts } from './persistence.ts';
import type { Script } from './place.ts';
import { schedulingScripts } from './scheduling.ts';
import { sipScripts } from './sip.ts';

export const scripts: readonly Script[] = [
  ...methodScripts,
  ...persistenceScripts,
  ...schedulingScripts,
  ...changeScripts,
  ...oddityScripts,
  ...sipScripts,
];
