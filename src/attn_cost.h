/* SPDX-License-Identifier: Apache-2.0 */
/* What softmax attention costs at least. */
#ifndef CLA_ATTN_COST_H
#define CLA_ATTN_COST_H

#include "kernel.h"

/* Bytes of a row of keys or values as a cache stores it, scales included. */
double cla_row_bytes(int dtype, int32_t width);

/*
 * problem: cla_attn. Flops: 2 (D + Dv) for each visible pair; causal and window count, a mask does
 * not (its contents are not looked at). Bytes: every tensor once. A ragged batch whose cu_seqlens
 * lie on a device counts as B sequences of the longest length.
 */
cla_work cla_attn_cost(const void *problem);

/* Argmax attention: 2 D for each visible pair; of v, as many rows as o has. */
cla_work cla_argmax_cost(const void *problem);

#endif
