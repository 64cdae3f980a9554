/** A program on an interface, whichever way it is held there. */
import type { BpfProgram } from './bpf-program.ts';

export type Direction = 'ingress' | 'egress';
export type AttachmentKind = 'xdp' | 'xdp-generic' | 'tcx' | 'clsact';

export interface Attachment {
  readonly kind: AttachmentKind;
  /** 0 when the interface is gone, and the program with it. */
  readonly interfaceIndex: number;
  /** 0 when it is not there any more. */
  readonly programId: number;
  /** Puts another program in its place; every packet meets one of the two. */
  replace(program: BpfProgram): void;
  /** Takes the program off the interface, and its pin away. */
  detach(): void;
  /** Lets go of it: what is pinned (and clsact, always) stays on the interface. */
  close(): void;
}
