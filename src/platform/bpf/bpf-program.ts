/**
 * A loaded BPF program: what the kernel says about it, pinning it, and running it on a packet of one's own
 * (BPF_PROG_TEST_RUN), which needs no interface.
 */
import koffi from 'koffi';
import { closeSync } from 'node:fs';
import { cText, objectInfo } from './bpf-map.ts';
import { attempt, libbpf } from './libbpf.ts';
import { testRunOptionsBytes } from './libbpf-functions.ts';

/** enum bpf_prog_type */
export const ProgramType = { schedCls: 3, xdp: 6 } as const;

/** struct bpf_prog_info as far as verified_insns (Linux 5.16); an older kernel leaves the rest zero. */
const infoBytes = 224;
const nameBytes = 16;

export interface TestRun {
  /** The packet, from its Ethernet header. */
  readonly data: Uint8Array;
  /** How often; all runs after the first get the packet that the one before left behind (XDP). */
  readonly repeat?: number;
  /** struct xdp_md (24 bytes) or struct __sk_buff (192). */
  readonly context?: Uint8Array;
  /** Room for the packet afterwards; by default 512 bytes more than went in. */
  readonly dataOutSize?: number;
  readonly cpu?: number;
  readonly flags?: number;
}

export interface TestRunResult {
  readonly returnValue: number;
  /** The packet as the program left it. */
  readonly data: Buffer;
  /** As the program left it; undefined when none was given. */
  readonly context: Buffer | undefined;
  /** Of one run, on average. */
  readonly nanoseconds: number;
}

export interface ProgramInfo {
  readonly id: number;
  /** One of {@link ProgramType}. */
  readonly type: number;
  /** At most 15 letters. */
  readonly name: string;
  /** A hash of its instructions, in hexadecimal. */
  readonly tag: string;
  readonly mapIds: readonly number[];
  /** Nanoseconds from boot to its loading. */
  readonly loadTime: bigint;
  /** Bytes of machine code; 0 when the kernel has no JIT compiler or it is switched off. */
  readonly jitedLength: number;
  /** Bytes, 8 an instruction. */
  readonly translatedLength: number;
  /** Instructions that the verifier went through (of a million); 0 before Linux 5.16. */
  readonly verifiedInstructions: number;
  /** Nanoseconds and runs, counted while kernel.bpf_stats_enabled is 1. */
  readonly runTime: bigint;
  readonly runs: bigint;
}

export class BpfProgram {
  readonly name: string;
  readonly id: number;
  readonly #fd: number;
  readonly #owned: boolean;
  #closed = false;

  /** @param owned whether {@link close} closes the descriptor @param name the kernel knows its first 15 letters */
  constructor(fd: number, owned: boolean, name?: string) {
    this.#fd = fd;
    this.#owned = owned;
    const { id, name: short } = programInfo(fd);
    this.id = id;
    this.name = name ?? short;
  }

  /** @throws when it is closed: the number may be somebody else's by now */
  get fd(): number {
    if (this.#closed) throw new Error(`the program ${this.name} is closed`);
    return this.#fd;
  }

  /** @throws BpfError, of code ENOENT when there is none */
  static openPinned(path: string): BpfProgram {
    return new BpfProgram(
      attempt(`opening the program pinned at ${path}`, () => libbpf().bpf_obj_get(path)),
      true,
    );
  }

  get info(): ProgramInfo {
    return programInfo(this.fd);
  }

  testRun(run: TestRun): TestRunResult {
    const data = Buffer.alloc(run.dataOutSize ?? run.data.byteLength + 512);
    const context = run.context === undefined ? null : Buffer.alloc(run.context.byteLength);
    const options = {
      sz: testRunOptionsBytes,
      data_in: run.data,
      data_out: data,
      data_size_in: run.data.byteLength,
      data_size_out: data.byteLength,
      ctx_in: run.context ?? null,
      ctx_out: context,
      ctx_size_in: run.context?.byteLength ?? 0,
      ctx_size_out: context?.byteLength ?? 0,
      retval: 0,
      repeat: run.repeat ?? 1,
      duration: 0,
      flags: run.flags ?? 0,
      cpu: run.cpu ?? 0,
      batch_size: 0,
    };
    attempt(`running the program ${this.name} on ${run.data.byteLength} bytes`, () =>
      libbpf().bpf_prog_test_run_opts(this.fd, options),
    );
    return {
      returnValue: options.retval,
      data: data.subarray(0, options.data_size_out),
      context: context?.subarray(0, options.ctx_size_out),
      nanoseconds: options.duration,
    };
  }

  /** Keeps it in the kernel under this name until the file is removed. */
  pin(path: string): void {
    attempt(`pinning the program ${this.name} at ${path}`, () => libbpf().bpf_obj_pin(this.fd, path));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#owned) closeSync(this.#fd);
  }
}

/** About a program that somebody else has loaded; undefined when it is gone by now. */
export function programById(id: number): ProgramInfo | undefined {
  const fd = libbpf().bpf_prog_get_fd_by_id(id);
  if (fd < 0) return undefined;
  try {
    return programInfo(fd);
  } finally {
    closeSync(fd);
  }
}

function programInfo(fd: number): ProgramInfo {
  const info = Buffer.alloc(infoBytes);
  objectInfo('program', fd, info);
  return {
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    tag: info.toString('hex', 8, 16),
    jitedLength: info.readUInt32LE(16),
    translatedLength: info.readUInt32LE(20),
    loadTime: info.readBigUInt64LE(40),
    mapIds: mapIds(fd, info.readUInt32LE(52)),
    name: cText(info, 64, nameBytes),
    runTime: info.readBigUInt64LE(192),
    runs: info.readBigUInt64LE(200),
    verifiedInstructions: info.readUInt32LE(216),
  };
}

/** The kernel fills in a list of its own length, at an address that is part of the question. */
function mapIds(fd: number, count: number): readonly number[] {
  if (count === 0) return [];
  const ids = new Uint32Array(count);
  const info = Buffer.alloc(infoBytes);
  info.writeUInt32LE(count, 52);
  info.writeBigUInt64LE(koffi.address(ids), 56);
  objectInfo('program', fd, info);
  return [...ids].slice(0, info.readUInt32LE(52));
}
