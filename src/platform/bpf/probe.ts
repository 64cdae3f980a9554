/** Whether this process can use BPF on this host, asked of the kernel itself and answered in words: for `doctor`, and for choosing an engine. */
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { errno } from '../libc.ts';
import { words } from './bpf-error.ts';
import { BpfProgram, ProgramType } from './bpf-program.ts';
import { libbpf } from './libbpf.ts';
import { hasTcx } from './tcx.ts';

export type Answer =
  | { readonly available: true; readonly detail: string }
  | { readonly available: false; readonly reason: string };

export interface BpfSupport {
  readonly libbpf: Answer;
  /** XDP and tc programs can be loaded, with all that the programs of directord need of the kernel. */
  readonly load: Answer;
  /** The kernel compiles programs to machine code; without that they are some five times slower. */
  readonly jit: Answer;
  readonly tcx: Answer;
}

const BPF_PROG_LOAD = 5;
const BPF_FUNC_timer_init = 169;
const EPERM = 1;
const EINVAL = 22;
const ENOSYS = 38;

const systemCall = koffi.load('libc.so.6').func('int64_t syscall(int64_t, int64_t, void *, uint64_t)') as (
  number: number,
  command: number,
  attributes: Uint8Array,
  size: number,
) => number;

/** Of bpf(2). */
const callNumbers: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };

/** `w0 = 0; exit` */
const smallest = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
const license = Buffer.from('Dual BSD/GPL\0');

/** Whether the ebpf engine can work here, and if not why, in one line. */
export function probeBpf(): Answer {
  const { libbpf: library, load } = probeSupport();
  return library.available ? load : library;
}

/** All answers. Nothing stays loaded. */
export function probeSupport(): BpfSupport {
  const library = probeLibbpf();
  const skipped: Answer = { available: false, reason: 'cannot be told without libbpf and BPF' };
  const load = probeLoad(library.available);
  const usable = library.available && load.available;
  return {
    libbpf: library,
    load,
    jit: usable ? probeJit() : skipped,
    tcx: usable ? probeTcx() : skipped,
  };
}

function probeLibbpf(): Answer {
  try {
    return { available: true, detail: `libbpf ${libbpf().libbpf_version_string().replace(/^v/, '')}` };
  } catch (error) {
    return { available: false, reason: (error as Error).message };
  }
}

function probeLoad(library: boolean): Answer {
  for (const [name, type] of [
    ['XDP', ProgramType.xdp],
    ['tc', ProgramType.schedCls],
  ] as const) {
    const fd = loadSmallest(type);
    if (fd < 0) return { available: false, reason: whyNot(name, -fd) };
    closeSync(fd);
  }
  if (library && libbpf().libbpf_probe_bpf_helper(ProgramType.schedCls, BPF_FUNC_timer_init, null) === 0)
    return { available: false, reason: 'this kernel is older than 5.15: BPF programs have no timers' };
  return { available: true, detail: 'the kernel takes XDP and tc programs' };
}

function probeJit(): Answer {
  const program = new BpfProgram(loadSmallest(ProgramType.xdp), true);
  try {
    return program.info.jitedLength > 0
      ? { available: true, detail: 'programs are compiled to machine code' }
      : { available: false, reason: 'programs are interpreted: sysctl net.core.bpf_jit_enable=1' };
  } finally {
    program.close();
  }
}

function probeTcx(): Answer {
  return hasTcx()
    ? { available: true, detail: 'tc programs are held by links (tcx)' }
    : { available: false, reason: 'no tcx before Linux 6.6: tc programs are filters of a clsact qdisc' };
}

/** @returns a descriptor, or the negative error number; needs no libbpf */
function loadSmallest(type: number): number {
  const call = callNumbers[process.arch];
  if (call === undefined) return -ENOSYS;
  // the beginning of union bpf_attr: prog_type, insn_cnt, insns, license
  const attributes = Buffer.alloc(48);
  attributes.writeUInt32LE(type, 0);
  attributes.writeUInt32LE(smallest.length / 8, 4);
  attributes.writeBigUInt64LE(koffi.address(smallest), 8);
  attributes.writeBigUInt64LE(koffi.address(license), 16);
  const fd = systemCall(call, BPF_PROG_LOAD, attributes, attributes.length);
  return fd < 0 ? -errno() : fd;
}

function whyNot(name: string, error: number): string {
  if (error === ENOSYS) return 'this kernel has no BPF (CONFIG_BPF_SYSCALL)';
  if (error === EPERM)
    return 'BPF programs may be loaded by root only (or with CAP_BPF and CAP_NET_ADMIN), and not in most containers';
  if (error === EINVAL) return `this kernel has no ${name} programs`;
  return `the kernel refuses ${name} programs: ${words(error)}`;
}
