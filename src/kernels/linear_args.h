/* SPDX-License-Identifier: Apache-2.0 */
/* What every linear attention kernel shares; the device side is cl/linear.clh. */
#ifndef CLA_LINEAR_ARGS_H
#define CLA_LINEAR_ARGS_H

#include "kernel.h"

extern const cla_arg cla_linear_args[]; /* LINEAR_ARGS */

/* For cla_kernel.constants. */
#define CLA_LINEAR_CONSTANTS                              \
    { "HEAD_DIM", offsetof(cla_linear, D) },              \
    { "VALUE_DIM", offsetof(cla_linear, Dv) },            \
    { "FEATURES", offsetof(cla_linear, F) },              \
    { "IN_TYPE", offsetof(cla_linear, in_type) },         \
    { "OUT_TYPE", offsetof(cla_linear, out_type) },       \
    { "MAP", offsetof(cla_linear, map) },                 \
    { "CAUSAL", offsetof(cla_linear, causal) },           \
    { "NORMALIZED", offsetof(cla_linear, normalized) },   \
    { "QUADRATIC", offsetof(cla_linear, quadratic) },     \
    { "RAGGED", offsetof(cla_linear, ragged) },           \
    { "HAS_IN", offsetof(cla_linear, has_in) },           \
    { "HAS_OUT", offsetof(cla_linear, has_out) }

/* Cuts the keys into segments of a multiple of `unit` keys, `wanted` or more of them each. */
void cla_linear_cut(cla_linear *p, int64_t wanted, int unit);

/* Floats of a state in the workspace, see STATE_OF in cl/linear.clh. */
size_t cla_linear_state_floats(const cla_linear *p);

/* Bytes of the states of all segments; sets work_state. */
size_t cla_linear_state_bytes(cla_linear *p);

/* One row and one key: what the step kernels are for; their bind(). */
bool cla_linear_is_step(const cla_linear *p);
size_t cla_linear_bind_step(void *problem, const int *t);

#endif
