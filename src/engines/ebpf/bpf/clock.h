/* Time, in ticks of 2^20 ns (1.05 ms) of the monotonic clock. They wrap after 52 days: compare differences. */
#ifndef DIRECTORD_CLOCK_H
#define DIRECTORD_CLOCK_H
#include "maps.h"

#define TICKS_OF_SECONDS(seconds) ((u32)((seconds) * 1000000000ull >> 20))

/* A flow that had a packet this lately is not written to again, so that cache lines stay clean: 0.13 s. */
#define FRESH 128

/* Asking the kernel for each packet would take longer than finding its flow. */
inline_function u32 now_tick(const struct settings *settings) { return settings->now; }

/* 2^20 / 10^9, in parts of 2^32. */
inline_function u32 seconds_of(u32 tick) { return (u64)tick * 4503600 >> 32; }

/* Low bits of about a second, never 0. */
inline_function u16 second_of(u32 tick) { return (tick >> 10) | 0x8000; }
inline_function u16 four_seconds_of(u32 tick) { return (tick >> 12) | 0x8000; }

/* TypeScript's side is ../clock.ts. */
inline_function void tell_time(struct settings *settings) {
  const u32 now = (u32)(bpf_ktime_get_ns() >> 20);
  settings->now = now;
  settings->second = second_of(now);
  settings->four_seconds = four_seconds_of(now);
}

#endif
