/**
 * Programs on interfaces. A bpf_link holds an XDP or tcx program there: pinned, it outlives the daemon, and a new program takes
 * its place between two packets. Where the kernel has no tcx (before 6.6) a filter of the clsact qdisc does the same.
 */
import { closeSync, existsSync, unlinkSync } from 'node:fs';
import { errno } from '../libc.ts';
import type { Attachment, AttachmentKind, Direction } from './attachment.ts';
import { BpfError } from './bpf-error.ts';
import { objectInfo } from './bpf-map.ts';
import type { BpfProgram } from './bpf-program.ts';
import { programById } from './bpf-program.ts';
import type { ClsactPlace } from './clsact.ts';
import { attachClsact } from './clsact.ts';
import { sayInterface } from './interface-name.ts';
import { attempt, libbpf } from './libbpf.ts';
import { tcFilters } from './tc-filters.ts';
import { hasTcx } from './tcx.ts';

export type { Attachment, AttachmentKind, Direction } from './attachment.ts';

export interface XdpOptions {
  /** Behind the driver, for every interface; slower. By default the driver's own, where it has that. */
  readonly generic?: boolean;
  /** Path in a bpffs: a link that is pinned there is taken over, a new one pinned there. */
  readonly pin?: string;
}

export interface TcOptions {
  readonly direction?: Direction;
  /** Path in a bpffs, for tcx; clsact needs none. */
  readonly pin?: string;
  /** By default tcx where the kernel has it. */
  readonly method?: 'tcx' | 'clsact';
  /** Where a clsact filter is; also how a later process finds it. */
  readonly clsact?: Partial<ClsactPlace>;
}

const BPF_XDP = 37;
const BPF_TCX = { ingress: 46, egress: 47 } as const;
const BPF_LINK_TYPE_XDP = 6;
const XDP_FLAGS_SKB_MODE = 2;
const XDP_FLAGS_DRV_MODE = 4;
const ENOENT = 2;
const EBUSY = 16;
const EEXIST = 17;

/** @throws BpfError; of code EBUSY or EEXIST when somebody else's XDP program is there, EOPNOTSUPP when the driver has no XDP */
export function attachXdp(program: BpfProgram, interfaceIndex: number, options: XdpOptions = {}): Attachment {
  const kind = options.generic === true ? 'xdp-generic' : 'xdp';
  return (
    takenOver(program, interfaceIndex, kind, options.pin) ??
    BpfLink.create({
      program,
      interfaceIndex,
      kind,
      attachType: BPF_XDP,
      flags: options.generic === true ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
      pin: options.pin,
    })
  );
}

/** Puts it behind the tcx programs that are there already, or in the place of its predecessor. */
export function attachTc(program: BpfProgram, interfaceIndex: number, options: TcOptions = {}): Attachment {
  const { direction = 'ingress', pin, method = hasTcx() ? 'tcx' : 'clsact' } = options;
  if (method === 'clsact') return attachClsact(program, { ...options.clsact, interfaceIndex, direction });
  return (
    takenOver(program, interfaceIndex, 'tcx', pin) ??
    BpfLink.create({
      program,
      interfaceIndex,
      kind: 'tcx',
      attachType: BPF_TCX[direction],
      flags: 0,
      pin,
    })
  );
}

/** A link that is pinned; undefined when there is none. Its interface may be gone: {@link Attachment.interfaceIndex} is 0 then. */
export function openPinned(path: string): Attachment | undefined {
  return existsSync(path) ? BpfLink.openPinned(path) : undefined;
}

export interface XdpState {
  readonly programId: number;
  /** '' when it vanished meanwhile. */
  readonly name: string;
  readonly mode: 'native' | 'generic' | 'offloaded';
}

/** The XDP program on an interface, whosever it is. */
export function xdpOn(interfaceIndex: number): XdpState | undefined {
  const options = Buffer.alloc(32);
  options.writeUInt32LE(options.length, 0);
  attempt(`asking for the XDP program on ${sayInterface(interfaceIndex)}`, () =>
    libbpf().bpf_xdp_query(interfaceIndex, 0, options),
  );
  const modes = [
    ['native', options.readUInt32LE(12)],
    ['offloaded', options.readUInt32LE(16)],
    ['generic', options.readUInt32LE(20)],
  ] as const;
  for (const [mode, programId] of modes) {
    if (programId !== 0) return { programId, name: programById(programId)?.name ?? '', mode };
  }
  return undefined;
}

export interface TcState {
  readonly kind: 'tcx' | 'clsact';
  readonly programId: number;
  readonly name: string;
}

/** The tc programs on an interface, whosever they are, in the order in which packets meet them. */
export function tcOn(interfaceIndex: number, direction: Direction): TcState[] {
  const found: TcState[] = [];
  for (const programId of tcxPrograms(interfaceIndex, direction))
    found.push({ kind: 'tcx', programId, name: programById(programId)?.name ?? '' });
  for (const { kind, programId, name } of tcFilters(interfaceIndex, direction)) {
    if (kind === 'bpf') found.push({ kind: 'clsact', programId, name: programById(programId)?.name ?? name });
  }
  return found;
}

interface NewLink {
  readonly program: BpfProgram;
  readonly interfaceIndex: number;
  readonly kind: AttachmentKind;
  readonly attachType: number;
  readonly flags: number;
  readonly pin: string | undefined;
}

class BpfLink implements Attachment {
  readonly kind: AttachmentKind;
  readonly #fd: number;
  readonly #pin: string | undefined;
  #closed = false;

  private constructor(fd: number, kind: AttachmentKind, pin: string | undefined) {
    this.#fd = fd;
    this.kind = kind;
    this.#pin = pin;
  }

  static create({ program, interfaceIndex, kind, attachType, flags, pin }: NewLink): BpfLink {
    const options = Buffer.alloc(16);
    options.writeUInt32LE(options.length, 0);
    options.writeUInt32LE(flags, 8);
    const doing = `attaching the program ${program.name} to ${sayInterface(interfaceIndex)} (${kindWords[kind]})`;
    const fd = libbpf().bpf_link_create(program.fd, interfaceIndex, attachType, options);
    if (fd < 0) {
      const error = errno();
      const occupied = attachType === BPF_XDP && (error === EBUSY || error === EEXIST);
      throw new BpfError(doing, error, occupied ? [occupant(interfaceIndex)] : []);
    }
    const link = new BpfLink(fd, kind, pin);
    try {
      if (pin !== undefined)
        attempt(`pinning the link of ${sayInterface(interfaceIndex)} at ${pin}`, () =>
          libbpf().bpf_obj_pin(fd, pin),
        );
    } catch (error) {
      link.close();
      throw error;
    }
    return link;
  }

  static openPinned(path: string): BpfLink {
    const fd = attempt(`opening the link pinned at ${path}`, () => libbpf().bpf_obj_get(path));
    const { type, interfaceIndex } = linkInfo(fd);
    if (type !== BPF_LINK_TYPE_XDP) return new BpfLink(fd, 'tcx', path);
    const generic = interfaceIndex !== 0 && xdpOn(interfaceIndex)?.mode === 'generic';
    return new BpfLink(fd, generic ? 'xdp-generic' : 'xdp', path);
  }

  get interfaceIndex(): number {
    return linkInfo(this.#fd).interfaceIndex;
  }

  get programId(): number {
    return linkInfo(this.#fd).programId;
  }

  replace(program: BpfProgram): void {
    if (this.programId === program.id) return;
    attempt(`putting the program ${program.name} in its predecessor's place`, () =>
      libbpf().bpf_link_update(this.#fd, program.fd, null),
    );
  }

  detach(): void {
    // without its interface there is nothing to take off
    if (this.interfaceIndex !== 0)
      attempt('taking a program off its interface', () => libbpf().bpf_link_detach(this.#fd));
    if (this.#pin !== undefined && existsSync(this.#pin)) unlinkSync(this.#pin);
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }
}

const kindWords: Readonly<Record<AttachmentKind, string>> = {
  xdp: "the driver's XDP",
  'xdp-generic': 'generic XDP',
  tcx: 'tcx',
  clsact: 'clsact',
};

/** The link that is pinned, when it is on this interface in this way; another is taken away. */
function takenOver(
  program: BpfProgram,
  interfaceIndex: number,
  kind: AttachmentKind,
  pin: string | undefined,
): Attachment | undefined {
  const present = pin === undefined ? undefined : openPinned(pin);
  if (present === undefined) return undefined;
  if (present.kind === kind && present.interfaceIndex === interfaceIndex) {
    present.replace(program);
    return present;
  }
  present.detach();
  return undefined;
}

function occupant(interfaceIndex: number): string {
  const state = xdpOn(interfaceIndex);
  if (state === undefined) return 'another XDP program is on it';
  return `the ${state.mode} XDP program ${state.name} (id ${state.programId}) is on it`;
}

/** struct bpf_link_info: type, id, prog_id, then from byte 16 the interface, of xdp as of tcx */
function linkInfo(fd: number): { type: number; programId: number; interfaceIndex: number } {
  const info = Buffer.alloc(32);
  objectInfo('link', fd, info);
  return {
    type: info.readUInt32LE(0),
    programId: info.readUInt32LE(8),
    interfaceIndex: info.readUInt32LE(16),
  };
}

function tcxPrograms(interfaceIndex: number, direction: Direction): readonly number[] {
  if (!hasTcx()) return [];
  const ids = new Uint32Array(64);
  const count = Uint32Array.of(ids.length);
  const result = libbpf().bpf_prog_query(interfaceIndex, BPF_TCX[direction], 0, null, ids, count);
  if (result < 0 && errno() !== ENOENT)
    throw new BpfError(`asking for the tcx programs on ${sayInterface(interfaceIndex)}`, errno());
  return [...ids.subarray(0, Math.min(count[0] ?? 0, ids.length))];
}
