/** What an interface of this network namespace is called. */
import koffi from 'koffi';

const indexToName = koffi.load('libc.so.6').func('void *if_indextoname(unsigned int, void *)') as (
  index: number,
  name: Uint8Array,
) => bigint | null;

const nameBytes = 16;

/** @returns undefined when there is none of this index */
export function nameOfInterface(index: number): string | undefined {
  const name = Buffer.alloc(nameBytes);
  if (indexToName(index, name) === null) return undefined;
  return name.toString('latin1', 0, name.indexOf(0));
}

/** For errors. */
export function sayInterface(index: number): string {
  return nameOfInterface(index) ?? `interface ${index}`;
}
