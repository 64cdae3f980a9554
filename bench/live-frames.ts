/**
 * Sends frames without packet buffers, as fast as one core can (BPF_F_TEST_XDP_LIVE_FRAMES, Linux 5.18): what the program makes of
 * each is done with it. Prints one JSON line: how many in how many seconds.
 * usage: live-frames PINNED-PROGRAM FRAME-BYTES SECONDS
 */
import { BpfProgram } from '../src/platform/bpf/bpf-program.ts';

const liveFrames = 2;
const atOnce = 100_000;

const [path = '', bytes = '', time = ''] = process.argv.slice(2);
const program = BpfProgram.openPinned(path);
const run = { data: Buffer.alloc(Number(bytes)), repeat: atOnce, flags: liveFrames };
const began = performance.now();
let sent = 0;
let seconds = 0;
while (seconds < Number(time)) {
  program.testRun(run);
  sent += atOnce;
  seconds = (performance.now() - began) / 1000;
}
process.stdout.write(`${JSON.stringify({ sent, seconds })}\n`);
