/**
 * An assembler for classic BPF (struct sock_filter[], linux/filter.h), the language of socket filters. It writes a program
 * from its end to its beginning, so that every jump target is already known; classic BPF jumps only forward.
 */

/** Opcodes that the capture filter uses. */
export const Bpf = {
  loadWord: 0x20,
  loadHalf: 0x28,
  loadByte: 0x30,
  loadByteIndexed: 0x50,
  loadHeaderLength: 0xb1,
  and: 0x54,
  jump: 0x05,
  jumpEqual: 0x15,
  jumpGreaterOrEqual: 0x35,
  jumpBitsSet: 0x45,
  return: 0x06,
} as const;

/** The kernel takes no longer programs (BPF_MAXINSNS). */
export const mostInstructions = 4096;

const instructionBytes = 8;
/** Conditional jumps have 8-bit offsets; one less, because a detour for one branch moves the other one away by one. */
const reach = 254;

/** A place in the program: how many instructions come after it. */
export type Label = number;

export class BpfProgram {
  readonly #reversed: { code: number; yes: number; no: number; k: number }[] = [];
  /** The nearest copy of what a label leads to, for jumps that do not reach the label itself. */
  readonly #detours = new Map<Label, Label>();

  /** Instructions so far. */
  get length(): number {
    return this.#reversed.length;
  }

  /** Puts an instruction that goes on with the one put before it. */
  put(code: number, k: number): Label {
    return this.#add(code, 0, 0, k);
  }

  /** Ends the filter: 0 rejects, anything else is how many bytes to keep. */
  return(bytes: number): Label {
    return this.put(Bpf.return, bytes);
  }

  /** Makes `label` the next thing to happen: for instructions that cannot jump. */
  goTo(label: Label): Label {
    const distance = this.length - label - 1;
    return distance === 0 ? label : this.put(Bpf.jump, distance);
  }

  /** Compares the accumulator with `k`. */
  branch(
    code: typeof Bpf.jumpEqual | typeof Bpf.jumpGreaterOrEqual | typeof Bpf.jumpBitsSet,
    k: number,
    yes: Label,
    no: Label,
  ): Label {
    const nearYes = this.#within(yes);
    const nearNo = this.#within(no);
    return this.#add(code, this.length - nearYes - 1, this.length - nearNo - 1, k);
  }

  /** struct sock_filter[] in the byte order of this host. */
  bytes(): Uint8Array {
    const view = new DataView(new ArrayBuffer(this.length * instructionBytes));
    const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
    this.#reversed.toReversed().forEach(({ code, yes, no, k }, i) => {
      view.setUint16(i * instructionBytes, code, littleEndian);
      view.setUint8(i * instructionBytes + 2, yes);
      view.setUint8(i * instructionBytes + 3, no);
      view.setUint32(i * instructionBytes + 4, k >>> 0, littleEndian);
    });
    return new Uint8Array(view.buffer);
  }

  #within(label: Label): Label {
    const nearest = this.#detours.get(label) ?? label;
    if (this.length - nearest - 1 < reach) return nearest;
    const detour = this.put(Bpf.jump, this.length - label - 1);
    this.#detours.set(label, detour);
    return detour;
  }

  #add(code: number, yes: number, no: number, k: number): Label {
    this.#reversed.push({ code, yes, no, k });
    return this.length - 1;
  }
}
