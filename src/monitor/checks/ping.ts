/** Ping check: up at the first answer to up to `checkcount` ICMP echo requests, each of which may take `checktimeout`. */
import type { Ask } from './ask.ts';
import { up } from './ask.ts';

export const checkPing: Ask = async ({ address, checkcount, checktimeout }, signal, { ping }) => {
  await ping(address, { count: checkcount, milliseconds: checktimeout * 1000 }, signal);
  return up('echo reply');
};
