/**
 * nf_tables messages (linux/netfilter/nfnetlink.h, nf_tables.h): questions into bytes, answers into plain values. Pure; the socket is in
 * nf-tables.ts. Headers are in the machine's byte order, numbers inside attributes in the network's.
 */
import type { Message } from './netlink-message.ts';
import {
  aligned,
  attributes,
  FLAG_DUMP,
  FLAG_REQUEST,
  HEADER_LENGTH,
  text,
  viewOf,
  writeHeader,
} from './netlink-message.ts';

/** The family of a table. */
export type TableFamily = 'inet' | 'netdev';

const familyNumber = { inet: 1, netdev: 5 } as const;

/** NFNL_SUBSYS_NFTABLES in the high byte. */
export const NfMessageType = {
  getTable: 0x0a01,
  newChain: 0x0a03,
  getChain: 0x0a04,
  newRule: 0x0a06,
  getRule: 0x0a07,
  newElements: 0x0a0c,
  getElements: 0x0a0d,
  getGeneration: 0x0a10,
} as const;

/** struct nfgenmsg: family, version, resource */
const GENERAL_LENGTH = 4;

const NFTA_GEN_ID = 1;
const NFTA_TABLE_USERDATA = 6;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_POLICY = 5;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_USERDATA = 7;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
/** nft's own, of tables and of rules. */
const COMMENT = 0;
const NF_DROP = 0;

/**
 * @param names the table, and in it the set: in all questions asked here they are the attributes 1 and 2
 * @returns length of the request
 */
export function writeNfRequest(
  into: Uint8Array,
  sequence: number,
  { type, dump, family }: { readonly type: number; readonly dump: boolean; readonly family?: TableFamily },
  ...names: readonly string[]
): number {
  into.fill(0);
  const view = viewOf(into);
  into[HEADER_LENGTH] = family === undefined ? 0 : familyNumber[family];
  let end = HEADER_LENGTH + GENERAL_LENGTH;
  for (const [at, name] of names.entries()) {
    const bytes = Buffer.from(`${name}\0`);
    new Uint16Array(into.buffer, into.byteOffset + end, 2).set([4 + bytes.length, at + 1]);
    into.set(bytes, end + 4);
    end += aligned(4 + bytes.length);
  }
  writeHeader(view, end, type, FLAG_REQUEST | (dump ? FLAG_DUMP : 0), sequence);
  return end;
}

export function readGeneration(view: DataView, message: Message): number | undefined {
  for (const { type, at } of parts(view, message)) if (type === NFTA_GEN_ID) return view.getUint32(at);
  return undefined;
}

/** @returns empty without one */
export function readTableComment(view: DataView, message: Message): string {
  for (const { type, at, end } of parts(view, message))
    if (type === NFTA_TABLE_USERDATA) return comment(view, at, end);
  return '';
}

export interface NfChain {
  readonly table: string;
  readonly chain: string;
  /** Drops what no rule decides about. */
  readonly drops: boolean;
}

export function readChain(view: DataView, message: Message): NfChain {
  let [table, chain, drops] = ['', '', false];
  for (const { type, at, end } of parts(view, message)) {
    if (type === NFTA_CHAIN_TABLE) table = text(view, at, end);
    else if (type === NFTA_CHAIN_NAME) chain = text(view, at, end);
    else if (type === NFTA_CHAIN_POLICY) drops = view.getUint32(at) === NF_DROP;
  }
  return { table, chain, drops };
}

export interface NfRule {
  readonly table: string;
  readonly chain: string;
  /** Empty without one. */
  readonly comment: string;
}

export function readRule(view: DataView, message: Message): NfRule {
  let [table, chain, found] = ['', '', ''];
  for (const { type, at, end } of parts(view, message)) {
    if (type === NFTA_RULE_TABLE) table = text(view, at, end);
    else if (type === NFTA_RULE_CHAIN) chain = text(view, at, end);
    else if (type === NFTA_RULE_USERDATA) found = comment(view, at, end);
  }
  return { table, chain, comment: found };
}

/** How many elements of a set a message tells of. */
export function countElements(view: DataView, message: Message): number {
  let count = 0;
  for (const { type, at, end } of parts(view, message)) {
    if (type !== NFTA_SET_ELEM_LIST_ELEMENTS) continue;
    for (const element of attributes(view, at, end)) if (element.end > element.at) count++;
  }
  return count;
}

function parts(view: DataView, message: Message): ReturnType<typeof attributes> {
  return attributes(view, message.body + GENERAL_LENGTH, message.end);
}

/** User data are entries of type (a byte), length (a byte), value. */
function comment(view: DataView, from: number, to: number): string {
  for (let at = from; at + 2 <= to;) {
    const end = at + 2 + view.getUint8(at + 1);
    if (view.getUint8(at) === COMMENT && end <= to) return text(view, at + 2, end);
    at = end;
  }
  return '';
}
