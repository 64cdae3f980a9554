/**
 * A program as a filter of the clsact qdisc: what tc was before tcx. It stays on the interface without a pin, and is found again by its
 * priority and handle.
 */
import type { Attachment, Direction } from './attachment.ts';
import { BpfError } from './bpf-error.ts';
import type { BpfProgram } from './bpf-program.ts';
import { nameOfInterface, sayInterface } from './interface-name.ts';
import { attemptAloud, libbpf } from './libbpf.ts';
import { tcFilters } from './tc-filters.ts';

/** Where among the filters of an interface. */
export interface ClsactPlace {
  /** 1 to 65535; lower ones come first. */
  readonly priority: number;
  readonly handle: number;
}

export interface ClsactTarget extends Partial<ClsactPlace> {
  readonly interfaceIndex: number;
  readonly direction: Direction;
}

const usual: ClsactPlace = { priority: 0xd1, handle: 0xd1 };

const points = { ingress: 1, egress: 2 } as const;
const bothPoints = points.ingress | points.egress;
const BPF_TC_F_REPLACE = 1;
const EEXIST = 17;

/** @throws BpfError with the kernel's own words */
export function attachClsact(program: BpfProgram, target: ClsactTarget): Attachment {
  const filter = new ClsactFilter(target);
  filter.replace(program);
  return filter;
}

/** The filter at that place; undefined when there is none. */
export function findClsact(target: ClsactTarget): Attachment | undefined {
  const filter = new ClsactFilter(target);
  return filter.programId === 0 ? undefined : filter;
}

class ClsactFilter implements Attachment {
  readonly kind = 'clsact';
  readonly #index: number;
  readonly #direction: Direction;
  readonly #place: ClsactPlace;

  constructor(target: ClsactTarget) {
    this.#index = target.interfaceIndex;
    this.#direction = target.direction;
    this.#place = {
      priority: target.priority ?? usual.priority,
      handle: target.handle ?? usual.handle,
    };
  }

  get interfaceIndex(): number {
    return nameOfInterface(this.#index) === undefined ? 0 : this.#index;
  }

  get programId(): number {
    const { priority, handle } = this.#place;
    const filters = tcFilters(this.#index, this.#direction);
    return filters.find((filter) => filter.priority === priority && filter.handle === handle)?.programId ?? 0;
  }

  /** The kernel exchanges a filter of the same place in one step. */
  replace(program: BpfProgram): void {
    if (this.programId === program.id) return;
    const name = sayInterface(this.#index);
    const made = attempted(`giving ${name} a clsact qdisc`, () =>
      libbpf().bpf_tc_hook_create(hook(this.#index, points[this.#direction])),
    );
    if (made !== undefined && made.errno !== EEXIST) throw made;
    attemptAloud(`attaching the program ${program.name} to ${name} (clsact ${this.#direction})`, () =>
      libbpf().bpf_tc_attach(
        hook(this.#index, points[this.#direction]),
        filterOptions(this.#place, program.fd, BPF_TC_F_REPLACE),
      ),
    );
  }

  /** A qdisc that holds no filter any more goes too. */
  detach(): void {
    if (this.programId === 0) return;
    const name = sayInterface(this.#index);
    attemptAloud(`taking a program off ${name} (clsact ${this.#direction})`, () =>
      libbpf().bpf_tc_detach(hook(this.#index, points[this.#direction]), filterOptions(this.#place, 0, 0)),
    );
    if (tcFilters(this.#index, 'ingress').length > 0 || tcFilters(this.#index, 'egress').length > 0) return;
    attemptAloud(`taking the clsact qdisc from ${name}`, () =>
      libbpf().bpf_tc_hook_destroy(hook(this.#index, bothPoints)),
    );
  }

  close(): void {
    // nothing of it is held here
  }
}

/** struct bpf_tc_hook */
function hook(interfaceIndex: number, points: number): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeInt32LE(interfaceIndex, 8);
  bytes.writeUInt32LE(points, 12);
  return bytes;
}

/** struct bpf_tc_opts */
function filterOptions({ priority, handle }: ClsactPlace, programFd: number, flags: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeInt32LE(programFd, 8);
  bytes.writeUInt32LE(flags, 12);
  bytes.writeUInt32LE(handle, 20);
  bytes.writeUInt32LE(priority, 24);
  return bytes;
}

/** @returns the failure, undefined when there is none */
function attempted(doing: string, call: () => number): BpfError | undefined {
  try {
    attemptAloud(doing, call);
    return undefined;
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
}
