/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROJ_BENCH_H
#define PROJ_BENCH_H

#include "ops.h"

extern const struct bench_op bench_projection;

#endif
