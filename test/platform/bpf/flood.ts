/** A process that sends frames from an interface without pause: `flood.ts INTERFACE FRAMES`. */
import { FrameSender } from '../../support/frame-sender.ts';

const [name = '', frames = '0'] = process.argv.slice(2);
const sender = new FrameSender(name, 1, 60);
sender.frame(0).fill(0xff, 0, 6);
sender.frame(0).set([0x88, 0xb5], 12);
for (let sent = 0; sent < Number(frames); sent++) sender.send(0, 1);
console.log('sent');
