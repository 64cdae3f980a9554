/** Where a program's global variables are, from the type information (BTF) that clang -g puts into the object. */
import koffi from 'koffi';
import { libbpf } from './libbpf.ts';

const BTF_KIND_DATASEC = 15;
const headBytes = 12;
/** struct btf_var_secinfo: type, offset, size */
const variableBytes = 12;

export interface Variable {
  readonly section: '.rodata' | '.data' | '.bss';
  readonly offset: number;
  readonly size: number;
}

/** @param btf of an object that is open */
export function findVariable(btf: bigint, name: string): Variable | undefined {
  for (const section of ['.rodata', '.data', '.bss'] as const) {
    const id = libbpf().btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC);
    if (id < 0) continue;
    const count = typeAt(btf, id, headBytes).getUint32(4, true) & 0xffff;
    const list = typeAt(btf, id, headBytes + count * variableBytes);
    for (let index = 0; index < count; index++) {
      const at = headBytes + index * variableBytes;
      if (nameOf(btf, list.getUint32(at, true)) === name)
        return { section, offset: list.getUint32(at + 4, true), size: list.getUint32(at + 8, true) };
    }
  }
  return undefined;
}

function nameOf(btf: bigint, id: number): string | null {
  return libbpf().btf__name_by_offset(btf, typeAt(btf, id, headBytes).getUint32(0, true));
}

/** struct btf_type, and what follows it. */
function typeAt(btf: bigint, id: number, bytes: number): DataView {
  const at = libbpf().btf__type_by_id(btf, id);
  if (at === null) throw new Error(`the object's type information has no type ${id}`);
  return new DataView(koffi.view(at, bytes));
}
