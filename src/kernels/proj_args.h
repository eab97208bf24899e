/* SPDX-License-Identifier: Apache-2.0 */
/* What every projection kernel shares; the device side is cl/proj.clh. */
#ifndef CLA_PROJ_ARGS_H
#define CLA_PROJ_ARGS_H

#include "kernel.h"

extern const cla_arg cla_proj_args[]; /* PROJ_ARGS */

/* For cla_kernel.constants. */
#define CLA_PROJ_CONSTANTS                                      \
    { "PARTS", offsetof(cla_proj, parts) },                     \
    { "IN_TYPE", offsetof(cla_proj, in_type) },                 \
    { "OUT_TYPE", offsetof(cla_proj, out_type) },               \
    { "W_TYPE", offsetof(cla_proj, w_type) },                   \
    { "SCALE_TYPE", offsetof(cla_proj, scale_type) },           \
    { "BIAS_TYPE", offsetof(cla_proj, bias_type) },             \
    { "RESIDUAL_TYPE", offsetof(cla_proj, residual_type) },     \
    { "W_ALONG", offsetof(cla_proj, w_along) },                 \
    { "HAS_BIAS", offsetof(cla_proj, has_bias) },               \
    { "HAS_RESIDUAL", offsetof(cla_proj, has_residual) },       \
    { "HAS_ROTARY", offsetof(cla_proj, has_rotary) },           \
    { "HAS_STARTS", offsetof(cla_proj, has_starts) },           \
    { "HAS_CACHE", offsetof(cla_proj, has_cache) }

/* Tiles of so many columns over all parts; a tile does not span two. */
size_t cla_proj_tiles(const cla_proj *p, size_t width);

#endif
