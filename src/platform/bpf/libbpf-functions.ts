/**
 * The functions of libbpf that directord calls, by their C names and with their C types. Buffers are passed as they are, so
 * the caller's variables keep them alive during the call; a pointer from libbpf is a bigint.
 */
import koffi from 'koffi';

export type Pointer = bigint;
type Bytes = ArrayBufferView;

/** struct bpf_test_run_opts. Sizes are written back by the call. */
export interface TestRunOptions {
  sz: number;
  data_in: Bytes | null;
  data_out: Bytes | null;
  data_size_in: number;
  data_size_out: number;
  ctx_in: Bytes | null;
  ctx_out: Bytes | null;
  ctx_size_in: number;
  ctx_size_out: number;
  retval: number;
  repeat: number;
  duration: number;
  flags: number;
  cpu: number;
  batch_size: number;
}

export interface Libbpf {
  bpf_object__open_file(path: string, options: null): Pointer | null;
  bpf_object__load(object: Pointer): number;
  bpf_object__close(object: Pointer): void;
  bpf_object__next_program(object: Pointer, program: Pointer | null): Pointer | null;
  bpf_object__next_map(object: Pointer, map: Pointer | null): Pointer | null;
  bpf_object__btf(object: Pointer): Pointer | null;
  bpf_program__name(program: Pointer): string;
  bpf_program__fd(program: Pointer): number;
  bpf_program__set_autoload(program: Pointer, autoload: boolean): number;
  bpf_map__name(map: Pointer): string;
  bpf_map__fd(map: Pointer): number;
  bpf_map__type(map: Pointer): number;
  bpf_map__key_size(map: Pointer): number;
  bpf_map__value_size(map: Pointer): number;
  bpf_map__max_entries(map: Pointer): number;
  bpf_map__map_flags(map: Pointer): number;
  bpf_map__set_max_entries(map: Pointer, entries: number): number;
  bpf_map__set_pin_path(map: Pointer, path: string): number;
  bpf_map__is_internal(map: Pointer): boolean;
  bpf_map__initial_value(map: Pointer, size: Bytes): Pointer | null;
  btf__find_by_name_kind(btf: Pointer, name: string, kind: number): number;
  btf__type_by_id(btf: Pointer, id: number): Pointer | null;
  btf__name_by_offset(btf: Pointer, offset: number): string | null;
  bpf_map_create(
    type: number,
    name: string,
    keySize: number,
    valueSize: number,
    maxEntries: number,
    options: Bytes,
  ): number;
  bpf_map_lookup_elem(fd: number, key: Bytes, value: Bytes): number;
  bpf_map_update_elem(fd: number, key: Bytes, value: Bytes, flags: number): number;
  bpf_map_delete_elem(fd: number, key: Bytes): number;
  bpf_map_get_next_key(fd: number, key: Bytes | null, next: Bytes): number;
  bpf_map_lookup_batch(
    fd: number,
    from: Bytes | null,
    to: Bytes,
    keys: Bytes,
    values: Bytes,
    count: Bytes,
    options: null,
  ): number;
  bpf_map_update_batch(fd: number, keys: Bytes, values: Bytes, count: Bytes, options: Bytes): number;
  bpf_map_delete_batch(fd: number, keys: Bytes, count: Bytes, options: null): number;
  bpf_obj_pin(fd: number, path: string): number;
  bpf_obj_get(path: string): number;
  bpf_obj_get_info_by_fd(fd: number, info: Bytes, length: Bytes): number;
  bpf_prog_get_fd_by_id(id: number): number;
  bpf_prog_test_run_opts(fd: number, options: TestRunOptions): number;
  bpf_prog_query(
    interfaceIndex: number,
    attachType: number,
    flags: number,
    attachFlags: Bytes | null,
    programs: Bytes | null,
    count: Bytes,
  ): number;
  bpf_link_create(program: number, interfaceIndex: number, attachType: number, options: Bytes): number;
  bpf_link_update(link: number, program: number, options: null): number;
  bpf_link_detach(link: number): number;
  bpf_xdp_query(interfaceIndex: number, flags: number, options: Bytes): number;
  bpf_tc_hook_create(hook: Bytes): number;
  bpf_tc_hook_destroy(hook: Bytes): number;
  bpf_tc_attach(hook: Bytes, options: Bytes): number;
  bpf_tc_detach(hook: Bytes, options: Bytes): number;
  libbpf_num_possible_cpus(): number;
  libbpf_probe_bpf_helper(programType: number, helper: number, options: null): number;
  libbpf_version_string(): string;
}

const testRunOptions = koffi.inout(
  koffi.pointer(
    koffi.struct({
      sz: 'uint64_t',
      data_in: 'void *',
      data_out: 'void *',
      data_size_in: 'uint32_t',
      data_size_out: 'uint32_t',
      ctx_in: 'void *',
      ctx_out: 'void *',
      ctx_size_in: 'uint32_t',
      ctx_size_out: 'uint32_t',
      retval: 'uint32_t',
      repeat: 'int',
      duration: 'uint32_t',
      flags: 'uint32_t',
      cpu: 'uint32_t',
      batch_size: 'uint32_t',
    }),
  ),
);
/** sizeof(struct bpf_test_run_opts) */
export const testRunOptionsBytes = 80;

type Type = Parameters<typeof koffi.sizeof>[0];

const int = 'int';
const u32 = 'uint32_t';
const u64 = 'uint64_t';
const bool = 'bool';
const text = 'str';
const pointer = 'void *';

/** The result, then the arguments. */
export const signatures: { readonly [Name in keyof Libbpf]: readonly [Type, ...Type[]] } = {
  bpf_object__open_file: [pointer, text, pointer],
  bpf_object__load: [int, pointer],
  bpf_object__close: ['void', pointer],
  bpf_object__next_program: [pointer, pointer, pointer],
  bpf_object__next_map: [pointer, pointer, pointer],
  bpf_object__btf: [pointer, pointer],
  bpf_program__name: [text, pointer],
  bpf_program__fd: [int, pointer],
  bpf_program__set_autoload: [int, pointer, bool],
  bpf_map__name: [text, pointer],
  bpf_map__fd: [int, pointer],
  bpf_map__type: [int, pointer],
  bpf_map__key_size: [u32, pointer],
  bpf_map__value_size: [u32, pointer],
  bpf_map__max_entries: [u32, pointer],
  bpf_map__map_flags: [u32, pointer],
  bpf_map__set_max_entries: [int, pointer, u32],
  bpf_map__set_pin_path: [int, pointer, text],
  bpf_map__is_internal: [bool, pointer],
  bpf_map__initial_value: [pointer, pointer, pointer],
  btf__find_by_name_kind: [int, pointer, text, u32],
  btf__type_by_id: [pointer, pointer, u32],
  btf__name_by_offset: [text, pointer, u32],
  bpf_map_create: [int, int, text, u32, u32, u32, pointer],
  bpf_map_lookup_elem: [int, int, pointer, pointer],
  bpf_map_update_elem: [int, int, pointer, pointer, u64],
  bpf_map_delete_elem: [int, int, pointer],
  bpf_map_get_next_key: [int, int, pointer, pointer],
  bpf_map_lookup_batch: [int, int, pointer, pointer, pointer, pointer, pointer, pointer],
  bpf_map_update_batch: [int, int, pointer, pointer, pointer, pointer],
  bpf_map_delete_batch: [int, int, pointer, pointer, pointer],
  bpf_obj_pin: [int, int, text],
  bpf_obj_get: [int, text],
  bpf_obj_get_info_by_fd: [int, int, pointer, pointer],
  bpf_prog_get_fd_by_id: [int, u32],
  bpf_prog_test_run_opts: [int, int, testRunOptions],
  bpf_prog_query: [int, int, int, u32, pointer, pointer, pointer],
  bpf_link_create: [int, int, int, int, pointer],
  bpf_link_update: [int, int, int, pointer],
  bpf_link_detach: [int, int],
  bpf_xdp_query: [int, int, int, pointer],
  bpf_tc_hook_create: [int, pointer],
  bpf_tc_hook_destroy: [int, pointer],
  bpf_tc_attach: [int, pointer, pointer],
  bpf_tc_detach: [int, pointer, pointer],
  libbpf_num_possible_cpus: [int],
  libbpf_probe_bpf_helper: [int, int, int, pointer],
  libbpf_version_string: [text],
};
