/** Runs classic BPF as the kernel does (net/core/filter.c's rules): what socket filters use, nothing else. */
export interface Frame {
  readonly bytes: Uint8Array;
  /** 0 to this host, 1 broadcast, 2 multicast, 3 to another host, 4 sent by this host. */
  readonly packetType: number;
  readonly protocol: number;
  /** Tag that the kernel keeps beside the frame. */
  readonly vlan?: number;
  /** Firewall mark. */
  readonly mark?: number;
}

const ancillary = (frame: Frame): ReadonlyMap<number, number> =>
  new Map([
    [0, frame.protocol],
    [4, frame.packetType],
    [20, frame.mark ?? 0],
    [44, frame.vlan ?? 0],
    [48, frame.vlan === undefined ? 0 : 1],
  ]);

/** @returns the number of bytes that the filter keeps; 0 rejects. A load beyond the frame rejects. */
export function run(program: Uint8Array, frame: Frame): number {
  const code = new DataView(program.buffer, program.byteOffset, program.length);
  const data = new DataView(frame.bytes.buffer, frame.bytes.byteOffset, frame.bytes.length);
  let a = 0;
  let x = 0;
  for (let pc = 0; ; pc++) {
    if ((pc + 1) * 8 > program.length) throw new Error(`jumped out of the program to ${pc}`);
    const op = code.getUint16(pc * 8, true);
    const yes = code.getUint8(pc * 8 + 2);
    const no = code.getUint8(pc * 8 + 3);
    const k = code.getUint32(pc * 8 + 4, true);
    const load = (at: number, size: 1 | 2 | 4): number | undefined => {
      if (at >= 0xfffff000) return ancillary(frame).get(at - 0xfffff000);
      if (at + size > frame.bytes.length) return undefined;
      return size === 4 ? data.getUint32(at) : size === 2 ? data.getUint16(at) : data.getUint8(at);
    };
    let loaded: number | undefined = 0;
    switch (op) {
      case 0x20:
        a = (loaded = load(k, 4)) ?? 0;
        break;
      case 0x28:
        a = (loaded = load(k, 2)) ?? 0;
        break;
      case 0x30:
        a = (loaded = load(k, 1)) ?? 0;
        break;
      case 0x50:
        a = (loaded = load(x + k, 1)) ?? 0;
        break;
      case 0xb1:
        loaded = load(k, 1);
        x = ((loaded ?? 0) & 0xf) * 4;
        break;
      case 0x54:
        a = (a & k) >>> 0;
        break;
      case 0x05:
        pc += k;
        break;
      case 0x15:
        pc += a === k ? yes : no;
        break;
      case 0x35:
        pc += a >= k ? yes : no;
        break;
      case 0x45:
        pc += (a & k) !== 0 ? yes : no;
        break;
      case 0x06:
        return k;
      default:
        throw new Error(`opcode ${op}`);
    }
    if (loaded === undefined) return 0;
  }
}
