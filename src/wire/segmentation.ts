/**
 * Cutting a TCP packet that is longer than any link carries into segments. Such packets come from senders on the same machine
 * (containers, virtual machines), which leave the cutting to a network card that is not there: TCP segmentation offload.
 */
import { copyBytes, read16, read32, write16, write32 } from './bytes.ts';
import { completeChecksum, fold, sum } from './checksum.ts';
import { IpPacket } from './ip-packet.ts';

/** Bytes free before each segment in the scratch buffer, for link headers. */
export const SEGMENT_HEADROOM = 64;

const SEQUENCE = 4;
const DATA_OFFSET = 12;
const FLAGS = 13;
const FIN = 0x01;
const PSH = 0x08;
const CWR = 0x80;
const IPV6_HEADER = 40;

const view = new IpPacket();

/**
 * Calls `emit` with each segment, in order: a view that is valid until it returns. Checksums are computed anew: that of the packet
 * need not be right. A packet with such headers that its segments would mostly consist of them is dropped.
 * @param limit of the segments' length in bytes
 * @param scratch at least SEGMENT_HEADROOM + limit bytes
 */
export function segment(
  packet: IpPacket,
  limit: number,
  scratch: Uint8Array,
  emit: (segment: IpPacket) => void,
): void {
  const { bytes, at, family, headerLength, transport, length } = packet;
  const headers = headerLength + ((bytes[transport + DATA_OFFSET] as number) >> 4) * 4;
  const most = limit - headers;
  if (most < headers) return;
  const payload = length - headers;
  const sequence = read32(bytes, transport + SEQUENCE);
  const flags = bytes[transport + FLAGS] as number;
  const tcp = SEGMENT_HEADROOM + headerLength;
  for (let done = 0, count = 0; done < payload; done += most, count++) {
    const piece = Math.min(most, payload - done);
    copyBytes(bytes, at, headers, scratch, SEGMENT_HEADROOM);
    copyBytes(bytes, at + headers + done, piece, scratch, SEGMENT_HEADROOM + headers);
    write32(scratch, tcp + SEQUENCE, (sequence + done) | 0);
    let own = flags;
    if (done > 0) own &= ~CWR;
    if (done + piece < payload) own &= ~(FIN | PSH);
    scratch[tcp + FLAGS] = own;
    if (family === 4) {
      write16(scratch, SEGMENT_HEADROOM + 2, headers + piece);
      write16(scratch, SEGMENT_HEADROOM + 4, (read16(bytes, at + 4) + count) & 0xffff);
      write16(scratch, SEGMENT_HEADROOM + 10, 0);
      write16(scratch, SEGMENT_HEADROOM + 10, ~fold(sum(scratch, SEGMENT_HEADROOM, headerLength)) & 0xffff);
    } else write16(scratch, SEGMENT_HEADROOM + 4, headers + piece - IPV6_HEADER);
    view.read(scratch, SEGMENT_HEADROOM, headers + piece);
    completeChecksum(view);
    emit(view);
  }
}
