/* SPDX-License-Identifier: Apache-2.0 */
/* What other operations that write to a KV cache share with clattn_kv_append(). */
#ifndef CLA_OP_APPEND_H
#define CLA_OP_APPEND_H

#include "kv.h"
#include "problem.h"

/* Fills everything that follows from the cache and the sequences [first, first + count). */
clattn_status cla_append_target(clattn_ctx *ctx, clattn_kv *kv, int64_t first, int64_t count,
                                cla_append *p);

#endif
