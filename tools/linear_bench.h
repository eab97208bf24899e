/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention for bench and cost. */
#ifndef LINEAR_BENCH_H
#define LINEAR_BENCH_H

#include "ops.h"

extern const struct bench_op bench_linear;

#endif
