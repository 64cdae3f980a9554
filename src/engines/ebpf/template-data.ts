/**
 * What a persistence engine (`sip`) found in the packets of clients: which templates have such data, and of which network of clients they
 * are, for such a template has a digest where others have that. Read one by one, for listings: most directors have none.
 */
import type { BpfMap } from '../../platform/bpf/bpf-map.ts';
import type { Address } from '../../util/ip.ts';
import { formatAddress } from '../../util/ip.ts';
import type { ConnectionEntry } from '../engine.ts';
import { FlowTable, TemplateData, TemplateName } from './layout.ts';

export interface ClientData {
  /** Of clients that share the template. */
  readonly network: Address;
  readonly engineData: NonNullable<ConnectionEntry['engineData']>;
}

/** Of the template in this slot of its family; undefined when it has none, or none yet. */
export type DataOf = (family: 4 | 6, slot: number) => ClientData | undefined;

/** @param map `template_data` */
export function templateData(map: Pick<BpfMap, 'lookup'>): DataOf {
  const key = Buffer.alloc(TemplateName.bytes);
  return (family, slot) => {
    key.writeUInt32LE(((FlowTable.templates << 30) | slot) >>> 0, TemplateName.reference);
    key.writeUInt32LE(family, TemplateName.family);
    const record = map.lookup(key);
    if (record === undefined) return undefined;
    const length = record.readUInt32LE(TemplateData.length);
    return {
      network: formatAddress(
        record.subarray(TemplateData.network, TemplateData.network + (family === 4 ? 4 : 16)),
      ),
      engineData: {
        engine: 'sip',
        data: record.toString('latin1', TemplateData.text, TemplateData.text + length),
      },
    };
  };
}
