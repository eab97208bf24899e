/* SPDX-License-Identifier: Apache-2.0 */
/* Host tensors on an OpenCL device: copies in before a run, copies out after it. */
#ifndef CLA_STAGING_H
#define CLA_STAGING_H

#include "plan.h"

/* A range of host memory and its device copy. Overlapping tensors share one. */
typedef struct cla_staged {
    char *first, *last; /* last: one past the end */
    bool written;
    clattn_buffer *buffer;
} cla_staged;

typedef struct cla_staging {
    int count;
    cla_staged ranges[CLA_MAX_SLOTS];
} cla_staging;

bool cla_staging_needed(const clattn_ctx *ctx, const cla_op *op, const void *problem);

/* Copies in, and points the views of the problem at the copies. Free the staging in any case. */
clattn_status cla_staging_in(clattn_ctx *ctx, const cla_op *op, void *problem, cla_staging *s);

/* Waits for the run and copies what was written back. */
clattn_status cla_staging_out(const cla_staging *s);
void cla_staging_free(cla_staging *s);

#endif
