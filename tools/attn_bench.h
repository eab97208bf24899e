/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and argmax attention for bench and cost. */
#ifndef ATTN_BENCH_H
#define ATTN_BENCH_H

#include "ops.h"

extern const struct bench_op bench_attention, bench_argmax;

#endif
