/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels with marked instructions (ptx.h) are built twice: their source gives PTX, and what the
 * marks hide in it gives the program. The finished program's binary is that PTX, so that a program
 * from the cache takes the second step alone. What the driver refuses, other than for want of
 * memory, is CLATTN_ERR_BUILD.
 */
#ifndef CLA_TWO_STEP_H
#define CLA_TWO_STEP_H

#include "state.h"

enum { CLA_SECOND_OPTIONS = 40 };

/* The options of the second step for work-groups of so many work-items. */
void cla_two_step_options(size_t items, char out[CLA_SECOND_OPTIONS]);

/* The program of the second step from that of the first, which stays the caller's. */
clattn_status cla_two_step(clattn_ctx *ctx, cl_program first, const char *path,
                           const char *options, cl_program *out);

/* A kernel of such a program, which can be launched in work-groups of so many work-items. */
clattn_status cla_two_step_kernel(clattn_ctx *ctx, cl_program program, const char *name,
                                  size_t items, cl_kernel *out);

#endif
