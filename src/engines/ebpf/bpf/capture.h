/* Sampled packets for `directord capture`: as they come or as they are when the director is done with them, and what became of them. While
 * nobody asks, the common path tests settings.capture, and the rest is out of its way. */
#ifndef DIRECTORD_CAPTURE_H
#define DIRECTORD_CAPTURE_H
#include "clock.h"
#include "context.h"

ARRAY_OF(capturing, struct capturing, 1);

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} captures SEC(".maps");

/* The packet that is in the director's hands. */
struct captor {
  u32 skipped;        /* packets since the last one that was captured */
  u32 skipped_before; /* as of the packet before */
  u32 size;           /* bytes of `packet`; 0 when it is not captured */
  struct captured packet;
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct captor);
} captors SEC(".maps");

inline_function struct capturing *the_capturing(void) {
  u32 first = 0;
  return bpf_map_lookup_elem(&capturing, &first);
}

inline_function struct captor *the_captor(void) {
  u32 first = 0;
  return bpf_map_lookup_elem(&captors, &first);
}

/* @returns how many bytes there are in `bytes` now */
inline_function u32 copy_frame_xdp(struct xdp_md *context, u8 *bytes) {
  void *data = frame_data(context, true);
  void *end = frame_end(context, true);
  u32 at = 0;
  for (; at < CAPTURED_BYTES; at += sizeof(u64)) {
    if (data + at + sizeof(u64) > end) break;
    *(u64 *)(bytes + at) = *(u64 *)(data + at);
  }
  /* the last bytes, with some of the word before them */
  u32 last = end - data - sizeof(u64);
  hide(last);
  if (last > CAPTURED_BYTES - sizeof(u64)) return at;
  void *tail = data + last;
  if (tail + sizeof(u64) > end) return at;
  *(u64 *)(bytes + last) = *(u64 *)tail;
  return last + sizeof(u64);
}

inline_function u32 copy_frame_tc(struct __sk_buff *context, u8 *bytes) {
  u32 length = context->len;
  if (length > CAPTURED_BYTES) length = CAPTURED_BYTES;
  if (!is_length(&length, CAPTURED_BYTES) || bpf_skb_load_bytes(context, 0, bytes, length)) return 0;
  return length;
}

inline_function void copy_frame(void *context, const bool xdp, struct captor *captor) {
  u8 *bytes = captor->packet.data;
  captor->packet.length = xdp ? frame_length(context, true, frame_data(context, true), frame_end(context, true)) : TC_CONTEXT(context)->len;
  captor->size = offsetof(struct captured, data) + (xdp ? copy_frame_xdp(context, bytes) : copy_frame_tc(context, bytes));
}

inline_function bool is_captured_interface(const struct capturing *capturing, u32 interface) {
  if (capturing->interfaces[0] == 0) return true;
#pragma unroll
  for (int i = 0; i < CAPTURED_INTERFACES; i++)
    if (capturing->interfaces[i] == interface) return true;
  return false;
}

inline_function void capture_before(void *context, const bool xdp) {
  struct settings *settings = the_settings();
  const struct capturing *capturing = the_capturing();
  struct captor *captor = the_captor();
  if (!settings || !capturing || !captor) return;
  captor->size = 0;
  captor->skipped_before = captor->skipped;
  if ((s32)(now_tick(settings) - capturing->until) > 0) {
    settings->capture = 0;
    return;
  }
  const u32 interface = frame_interface(context, xdp);
  if (!is_captured_interface(capturing, interface) || ++captor->skipped < settings->capture) return;
  captor->skipped = 0;
  captor->packet.time = bpf_ktime_get_ns();
  captor->packet.interface = interface;
  captor->packet.hook = xdp ? HOOK_XDP : HOOK_TC;
  copy_frame(context, xdp, captor);
}

inline_function void capture_after(void *context, const bool xdp, int verdict) {
  struct capturing *capturing = the_capturing();
  struct captor *captor = the_captor();
  if (!capturing || !captor) return;
  /* tc gets it on the same interface, and has not seen it yet */
  if (xdp && verdict == XDP_PASS) {
    captor->skipped = captor->skipped_before;
    return;
  }
  if (captor->size == 0) return;
  if (capturing->after) copy_frame(context, xdp, captor);
  captor->packet.verdict = verdict;
  u32 size = captor->size;
  captor->size = 0;
  hide(size);
  if (size > sizeof(captor->packet)) return;
  if (bpf_ringbuf_output(&captures, &captor->packet, size, BPF_RB_NO_WAKEUP)) __sync_fetch_and_add(&capturing->lost, 1);
}

once_function int capture_before_xdp(struct xdp_md *context) {
  capture_before(context, true);
  return 0;
}

once_function int capture_after_xdp(struct xdp_md *context, int verdict) {
  capture_after(context, true, verdict);
  return 0;
}

once_function int capture_before_tc(struct __sk_buff *context) {
  capture_before(context, false);
  return 0;
}

once_function int capture_after_tc(struct __sk_buff *context, int verdict) {
  capture_after(context, false, verdict);
  return 0;
}

/* What tc's programs return: a verdict, after which nobody else sees the packet. */
inline_function int done(struct __sk_buff *context, int verdict) {
  const struct settings *settings = the_settings();
  if (settings && unlikely(settings->capture != 0)) capture_after_tc(context, verdict);
  return verdict;
}

#endif
