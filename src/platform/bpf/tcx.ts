/** Whether the kernel has tcx: lists of tc programs on an interface, each held by a link, without a qdisc (Linux 6.6). */
import { errno } from '../libc.ts';
import { libbpf } from './libbpf.ts';

const BPF_TCX_INGRESS = 46;
const EINVAL = 22;
/** Of the loopback interface, in every network namespace. */
const LOOPBACK = 1;

let known: boolean | undefined;

/** Asked by a harmless question: a kernel without it does not know this place. */
export function hasTcx(): boolean {
  if (known === undefined) {
    const count = new Uint32Array(1);
    const result = libbpf().bpf_prog_query(LOOPBACK, BPF_TCX_INGRESS, 0, null, null, count);
    known = result >= 0 || errno() !== EINVAL;
  }
  return known;
}
