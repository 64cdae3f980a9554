/** usage: generate.js PROGRAM   For each number on a line of stdin it sends so many live frames, in its network namespace, and prints the nanoseconds a frame. */
import { createInterface } from 'node:readline';
import { BpfProgram } from '../../src/platform/bpf/bpf-program.ts';
import { frameBytes } from './frames.ts';

/** BPF_F_TEST_XDP_LIVE_FRAMES (Linux 5.18): what the program returns is done with the frame. */
const liveFrames = 2;

const [path = ''] = process.argv.slice(2);
const program = BpfProgram.openPinned(path);
for await (const line of createInterface({ input: process.stdin })) {
  const run = { data: Buffer.alloc(frameBytes), repeat: Number(line), flags: liveFrames };
  process.stdout.write(`${program.testRun(run).nanoseconds}\n`);
}
