/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary angles in fixed point. A pair turns by base^(-2i/K) / (2 pi) full turns per position; as a
 * 64-bit fraction of a turn, multiplied by the position, whole turns overflow and what is left is
 * exact at any distance. The device side is in cl/rotary.clh.
 */
#ifndef CLA_ROTARY_H
#define CLA_ROTARY_H

#include "problem.h"
#include "status.h"

/* 2^64 base^(-2/K): from one pair to the next. */
int64_t cla_rotary_ratio(double base, int32_t K);

/* Turns of pair i per position, in units of 2^-64. */
uint64_t cla_rotary_turns(int64_t ratio, int i);

/* cos and sin of turns * position. */
void cla_rotary_angle(uint64_t turns, int64_t position, float *c, float *s);

/* Rows start ... start + N - 1 have a position. */
clattn_status cla_rotary_check_start(clattn_ctx *ctx, const char *op, int64_t start, int32_t N);

/* Checks what an operation was given; base 0 becomes 10000. name: of the tensor whose heads turn.
 */
clattn_status cla_rotary_check(clattn_ctx *ctx, const char *op, const char *name,
                               clattn_rotary rotary, int64_t K, float *base);

#endif
