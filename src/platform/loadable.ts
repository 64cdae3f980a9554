/** Whether the packages with native code can be loaded on this host: compiled, and with the libraries that they need. */
import { createRequire } from 'node:module';

/** @returns the reason in one line, undefined when it can be loaded (and now is) */
export function whyNotLoadable(name: 'koffi' | 'cap' | 'raw-socket'): string | undefined {
  try {
    createRequire(import.meta.url)(name);
    return undefined;
  } catch (error) {
    return (error as Error).message.split('\n')[0];
  }
}
