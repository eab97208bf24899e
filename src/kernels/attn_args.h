/* SPDX-License-Identifier: Apache-2.0 */
/* What every softmax attention kernel shares; the device side is cl/attn.clh. */
#ifndef CLA_ATTN_ARGS_H
#define CLA_ATTN_ARGS_H

#include "kernel.h"

extern const cla_arg cla_attn_args[];        /* ATTN_ARGS */
extern const cla_arg cla_argmax_pick_args[]; /* ATTN_ARGS, then the index tensor */

/* For cla_kernel.constants: where values lie and go; with the rest of cl/attn.clh and kv.clh. */
#define CLA_ATTN_VALUE_CONSTANTS                            \
    { "VALUE_DIM", offsetof(cla_attn, Dv) },                \
    { "KV_TYPE", offsetof(cla_attn, kv_type) },             \
    { "OUT_TYPE", offsetof(cla_attn, out_type) },           \
    { "RAGGED", offsetof(cla_attn, ragged) },               \
    { "HAS_LENGTHS", offsetof(cla_attn, has_lengths) },     \
    { "PAGED", offsetof(cla_attn, paged) }
#define CLA_ATTN_CONSTANTS                                  \
    { "HEAD_DIM", offsetof(cla_attn, D) },                  \
    { "IN_TYPE", offsetof(cla_attn, in_type) },             \
    { "BIAS_TYPE", offsetof(cla_attn, bias_type) },         \
    { "HAS_MASK", offsetof(cla_attn, has_mask) },           \
    { "HAS_BIAS", offsetof(cla_attn, has_bias) },           \
    { "HAS_ALIBI", offsetof(cla_attn, has_alibi) },         \
    { "HAS_SINKS", offsetof(cla_attn, has_sinks) },         \
    { "HAS_SOFTCAP", offsetof(cla_attn, has_softcap) },     \
    { "HAS_LSE", offsetof(cla_attn, has_lse) },             \
    CLA_ATTN_VALUE_CONSTANTS

#endif
