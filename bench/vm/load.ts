/** Whether the guest's kernel takes the programs of the ebpf engine, and what its verifier says of them. */
import { sh } from './shell.ts';

export interface LoadedProgram {
  readonly name: string;
  readonly type: string;
  /** Instructions that the verifier went through, of the million it is willing to. */
  readonly verified: number;
  readonly translatedBytes: number;
  readonly jitedBytes: number;
}

/** @param object path of a BPF object below the project @throws with the end of the verifier's log */
export function load(object: string): readonly LoadedProgram[] {
  sh(`bpftool prog loadall /project/${object} /run/bpf/loaded`);
  const names = sh('ls /run/bpf/loaded').trim().split('\n');
  return names.map((name) => {
    const shown = JSON.parse(sh(`bpftool -j prog show pinned /run/bpf/loaded/${name}`)) as {
      readonly type: string;
      readonly bytes_xlated: number;
      readonly bytes_jited: number;
      readonly verified_insns: number;
    };
    return {
      name,
      type: shown.type,
      verified: shown.verified_insns,
      translatedBytes: shown.bytes_xlated,
      jitedBytes: shown.bytes_jited,
    };
  });
}
