/** To be written. */
import type { Ask } from './ask.ts';
import { down } from './ask.ts';

export const checkSmtp: Ask = ({ service }) =>
  Promise.resolve(down(`the ${service} check is not in this version of directord`));
