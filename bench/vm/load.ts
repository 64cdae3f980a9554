/** Whether the guest's kernel takes the programs of the ebpf engine, loaded as the engine does, and what its verifier says of them. */
import { loadDirector } from '../../src/engines/ebpf/program.ts';
import { defaultSizes } from '../../src/engines/ebpf/table-sizes.ts';
import { ProgramType } from '../../src/platform/bpf/bpf-program.ts';

export interface LoadedProgram {
  readonly name: string;
  readonly type: string;
  /** Instructions that the verifier went through, of the million it is willing to. */
  readonly verified: number;
  /** Bytes, 8 an instruction. */
  readonly translated: number;
  /** Bytes of machine code. */
  readonly jited: number;
}

const types: ReadonlyMap<number, string> = new Map(
  Object.entries(ProgramType).map(([name, number]) => [number, name]),
);

/** @throws with the end of the verifier's log */
export function load(path: string): readonly LoadedProgram[] {
  const director = loadDirector({ sizes: defaultSizes, object: path });
  const { object } = director;
  try {
    return object.programNames.map((name) => {
      const { type, verifiedInstructions, translatedLength, jitedLength } = object.program(name).info;
      return {
        name,
        type: types.get(type) ?? String(type),
        verified: verifiedInstructions,
        translated: translatedLength,
        jited: jitedLength,
      };
    });
  } finally {
    director.close();
  }
}
