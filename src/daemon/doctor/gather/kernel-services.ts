/** The services of the kernel's own IPVS, from `/proc/net/ip_vs`. */
import { canonicalAddress, formatAddress } from '../../../util/ip.ts';
import type { Protocol } from '../../../director/table.ts';
import { serviceKey } from '../../../director/table.ts';

/** @returns keys as {@link serviceKey} writes them; a mark's family is not told there, and taken for IPv4 */
export function readKernelServices(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const mark = /^FWM\s+([\dA-F]{8})\s/i.exec(line)?.[1];
    if (mark !== undefined)
      return [serviceKey({ kind: 'fwmark', mark: Number.parseInt(mark, 16), family: 'inet' })];
    const found = /^(TCP|UDP|SCTP)\s+(?:\[([\da-f:]+)]|([\dA-F]{8})):([\dA-F]{4})\s/i.exec(line);
    if (found === null) return [];
    const [, protocol = '', six = '', four = '', port = ''] = found;
    const address =
      four === '' ? canonicalAddress(six) : formatAddress(new Uint8Array(Buffer.from(four, 'hex')));
    if (address === undefined) return [];
    const key = { kind: 'address', protocol: protocol.toLowerCase() as Protocol, address } as const;
    return [serviceKey({ ...key, port: Number.parseInt(port, 16) })];
  });
}
