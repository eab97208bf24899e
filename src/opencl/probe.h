/* SPDX-License-Identifier: Apache-2.0 */
/* Tiny kernels that show what a device can do. */
#ifndef CLA_PROBE_H
#define CLA_PROBE_H

#include "state.h"

/* A kernel of two arguments, in (float[4]) and out (uint[4096]), zeros; one work-group of items. */
typedef struct cla_probe {
    const char *name; /* of the entry point */
    const cla_blob *parts[CLA_MAX_PARTS];
    const char *options;
    float in[4];
    size_t items;
    size_t others; /* further work-groups of as many */
    bool marked;   /* it has marked instructions, see two_step.h */
} cla_probe;

/* *word becomes out[0], 0 when anything fails; the sentence is then on the context. */
clattn_status cla_cl_run_probe(clattn_ctx *ctx, const cla_probe *what, cl_uint *word);

/* The same where not to work is no error: nothing is logged. */
clattn_status cla_cl_try_probe(clattn_ctx *ctx, const cla_probe *what, cl_uint *word);

/* Does it build, run and answer 1? What a device cannot do is no error: nothing is logged. */
bool cla_cl_passes(clattn_ctx *ctx, const cla_probe *what);

/* Is the extension on the driver's list? */
bool cla_cl_lists(clattn_ctx *ctx, const char *extension);

/* The probe of cl/tile.clh for a matrix engine and T_F16 or T_BF16. */
void cla_tile_probe(cla_tile tile, clattn_dtype type, char options[64], cla_probe *out);

/* Finds the matrix engine: dev->tile, capabilities, info. */
void cla_cl_probe_tile(clattn_ctx *ctx, cla_dev *dev);

/* The matrix unit of warpgroups: a capability, or, on the chip that has it, why not. */
void cla_cl_probe_wgmma(clattn_ctx *ctx, cla_dev *dev);

#endif
