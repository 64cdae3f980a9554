/* Firewall marks. */
#ifndef DIRECTORD_MARKS_H
#define DIRECTORD_MARKS_H
#include "packet.h"

inline_function u32 mark_of(struct __sk_buff *context, const struct packet *packet) { return context->mark; }

#endif
