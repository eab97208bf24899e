/* SPDX-License-Identifier: Apache-2.0 */
/* Problems of every operation, small and large, as plans on buffers that nobody filled. */
#ifndef MOCK_PROBLEMS_H
#define MOCK_PROBLEMS_H

#include <clattn/layers.h>

enum { MOCK_MAX_TENSORS = 16 };

/* A plan and the memory of its tensors. */
typedef struct mock_job {
    clattn_ctx *ctx;
    clattn_buffer *buffers[MOCK_MAX_TENSORS];
    int count;
    clattn_status status; /* of the first buffer that could not be made */
    clattn_kv *kv;
    clattn_plan *plan;
} mock_job;

/* Name of the i-th problem, NULL past the end. */
const char *mock_problem_name(int i);

/* Free the job either way. */
clattn_status mock_job_make(mock_job *job, clattn_ctx *ctx, int problem, clattn_dtype dtype);
void mock_job_free(mock_job *job);

#endif
