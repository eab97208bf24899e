/* SPDX-License-Identifier: Apache-2.0 */
/* Tiny kernels that show what a device can do. */
#ifndef CLA_PROBE_H
#define CLA_PROBE_H

#include "kernels/probes.h"
#include "state.h"

/* *word becomes out[0], 0 when anything fails; the sentence is then on the context. */
clattn_status cla_cl_run_probe(clattn_ctx *ctx, const cla_probe *what, cl_uint *word);

/* The same where not to work is no error: nothing is logged. */
clattn_status cla_cl_try_probe(clattn_ctx *ctx, const cla_probe *what, cl_uint *word);

/* Does it build, run and answer 1? What a device cannot do is no error: nothing is logged. */
bool cla_cl_passes(clattn_ctx *ctx, const cla_probe *what);

/* Is the extension on the driver's list? */
bool cla_cl_lists(clattn_ctx *ctx, const char *extension);

/* A number that the driver of a chip tells; 0: it does not. */
cl_uint cla_cl_number(clattn_ctx *ctx, cl_device_info what);

/* Of NVIDIA's chips; CL/cl_ext.h of 2020 lacks them. */
enum { CLA_CL_CAPABILITY_MAJOR = 0x4000, CLA_CL_CAPABILITY_MINOR = 0x4001 };

/* Finds the matrix engine: dev->tile, capabilities, info. */
void cla_cl_probe_tile(clattn_ctx *ctx, cla_dev *dev);

/* The matrix unit of warpgroups: a capability, or, on the chip that has it, why not. */
void cla_cl_probe_wgmma(clattn_ctx *ctx, cla_dev *dev);

#endif
