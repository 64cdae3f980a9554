/** The filters of an interface's clsact qdisc, asked over rtnetlink (RTM_GETTFILTER, linux/rtnetlink.h, linux/pkt_cls.h). */
import type { Direction } from './attachment.ts';
import type { Message } from '../netlink-message.ts';
import {
  attributes,
  FLAG_DUMP,
  FLAG_REQUEST,
  HEADER_LENGTH,
  text,
  viewOf,
  writeHeader,
} from '../netlink-message.ts';
import { NetlinkSocket } from '../netlink-socket.ts';

const NETLINK_ROUTE = 0;
const RTM_NEWTFILTER = 44;
const RTM_GETTFILTER = 46;
/** struct tcmsg: family and padding, ifindex, handle, parent, info */
const MESSAGE_LENGTH = 20;
const parents = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_NAME = 7;
const TCA_BPF_ID = 11;
const attempts = 5;

export interface TcFilter {
  /** bpf, flower, u32 ... */
  readonly kind: string;
  readonly priority: number;
  readonly handle: number;
  /** Of kind bpf; 0 of others. */
  readonly programId: number;
  /** Of kind bpf, what whoever attached it called it; else ''. */
  readonly name: string;
}

/** First to last; none when the interface has no clsact qdisc, or is gone. */
export function tcFilters(interfaceIndex: number, direction: Direction): TcFilter[] {
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  try {
    for (let attempt = 1; ; attempt++) {
      const filters: TcFilter[] = [];
      const interrupted = socket.dump(
        (into, sequence) => writeQuestion(into, sequence, interfaceIndex, parents[direction]),
        (message) => {
          const filter = message.type === RTM_NEWTFILTER ? readFilter(socket.view, message) : undefined;
          if (filter !== undefined) filters.push(filter);
        },
      );
      if (!interrupted || attempt === attempts) return filters.sort((a, b) => a.priority - b.priority);
    }
  } finally {
    socket.close();
  }
}

function writeQuestion(into: Uint8Array, sequence: number, interfaceIndex: number, parent: number): number {
  const length = HEADER_LENGTH + MESSAGE_LENGTH;
  into.fill(0, 0, length);
  const view = viewOf(into);
  writeHeader(view, length, RTM_GETTFILTER, FLAG_REQUEST | FLAG_DUMP, sequence);
  view.setInt32(HEADER_LENGTH + 4, interfaceIndex, true);
  view.setUint32(HEADER_LENGTH + 12, parent, true);
  return length;
}

/** @returns undefined for the head of a list, which is no filter itself */
function readFilter(view: DataView, message: Message): TcFilter | undefined {
  const handle = view.getUint32(message.body + 8, true);
  if (handle === 0) return undefined;
  let kind = '';
  let name = '';
  let programId = 0;
  for (const { type, at, end } of attributes(view, message.body + MESSAGE_LENGTH, message.end)) {
    if (type === TCA_KIND) kind = text(view, at, end);
    if (type !== TCA_OPTIONS || kind !== 'bpf') continue;
    for (const option of attributes(view, at, end)) {
      if (option.type === TCA_BPF_NAME) name = text(view, option.at, option.end);
      if (option.type === TCA_BPF_ID) programId = view.getUint32(option.at, true);
    }
  }
  return { kind, priority: view.getUint32(message.body + 16, true) >>> 16, handle, programId, name };
}
