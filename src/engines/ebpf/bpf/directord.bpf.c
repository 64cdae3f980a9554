/* The director in the kernel: xdp_director for interfaces whose driver runs XDP, tc_director for all. XDP does the common path and
 * leaves everything else, untouched, to tc on the same interface. See native-notes/ebpf-engine.md. */
#include "begun.h"
#include "capture.h"
#include "forward.h"
#include "cut.h"
#include "fragments.h"
#include "icmp-tell.h"
#include "icmp-translate.h"
#include "rare.h"
#include "simulate.h"
#include "sweep.h"

SEC("xdp")
int xdp_director(struct xdp_md *context) {
  struct settings *settings = the_settings();
  if (!settings) return XDP_PASS;
  if (unlikely(settings->capture != 0)) capture_before_xdp(context);
  int verdict = forward(context, true, settings);
  if (unlikely(settings->capture != 0)) capture_after_xdp(context, verdict);
  return verdict;
}

SEC("tc")
int tc_director(struct __sk_buff *context) {
  struct settings *settings = the_settings();
  if (!settings) return TC_ACT_UNSPEC;
  if (unlikely(settings->capture != 0)) capture_before_tc(context);
  int verdict = forward(context, false, settings);
  if (verdict == REFUSED) return tell(context, TELL_PORT_UNREACHABLE, 0, NO_SLOT);
  if (verdict != RARE) {
    if (unlikely(settings->capture != 0)) capture_after_tc(context, verdict);
    return verdict;
  }
  MOST_OF(context) = 0;
  bpf_tail_call(context, &steps, STEP_RARE);
  return TC_ACT_UNSPEC;
}

SEC("tc")
int tc_rare(struct __sk_buff *context) { return done(context, rare(context)); }

SEC("tc")
int tc_icmp(struct __sk_buff *context) { return done(context, translate_icmp(context)); }

SEC("tc")
int tc_fragment(struct __sk_buff *context) { return done(context, fragment(context)); }

SEC("tc")
int tc_cut(struct __sk_buff *context) { return done(context, cut_up(context)); }

SEC("tc")
int tc_tell(struct __sk_buff *context) { return done(context, make_error(context)); }

SEC("tc")
int tc_begun(struct __sk_buff *context) { return done(context, begun(context)); }

/* Run by `directord simulate`, never attached. @returns 0 when the answer has taken the packet's place */
SEC("tc")
int simulate(struct __sk_buff *context) { return simulated(context); }

/* Run once by user space, never attached: starts the timer that ends what is past its time. */
SEC("tc")
int sweep_start(struct __sk_buff *context) {
  u32 first = 0;
  struct sweeper *sweeper = bpf_map_lookup_elem(&sweepers, &first);
  struct settings *settings = the_settings();
  if (!sweeper || !settings) return 1;
  tell_time(settings);
  bpf_timer_init(&sweeper->timer, &sweepers, 1 /* CLOCK_MONOTONIC */); /* fails where a former daemon did it: as well */
  if (bpf_timer_set_callback(&sweeper->timer, sweep_tick)) return 2;
  return bpf_timer_start(&sweeper->timer, PERIOD, 0) ? 3 : 0;
}

/* Run by tests, never attached: one whole turn of all tables of tests' sizes. */
SEC("tc")
int sweep(struct __sk_buff *context) {
  struct settings *settings = the_settings();
  if (!settings) return 1;
  u32 now = now_tick(settings);
  for (u32 table = 0; table < TABLES; table++)
    for (u32 from = 0; from < 64 * PIECE; from += PIECE)
      if (from < buckets_of(table)) sweep_at(table, from, now);
  return 0;
}

struct step_programs steps SEC(".maps") = {
  .values = {
    [STEP_RARE] = (void *)&tc_rare,
    [STEP_ICMP] = (void *)&tc_icmp,
    [STEP_FRAGMENT] = (void *)&tc_fragment,
    [STEP_TELL] = (void *)&tc_tell,
    [STEP_CUT] = (void *)&tc_cut,
    [STEP_BEGUN] = (void *)&tc_begun,
  },
};

char directord_license[] SEC("license") = "Dual BSD/GPL";
