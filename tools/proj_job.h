/* SPDX-License-Identifier: Apache-2.0 */
/* One projection of the command line: host tensors, options, and its run on a device. */
#ifndef PROJ_JOB_H
#define PROJ_JOB_H

#include "work.h"

struct proj_options {
    clattn_dtype weights; /* NONE: the storage dtype; also i8 and i4, quantised here */
    bool transposed;      /* lay the weights out as [in][out] */
    clattn_rotary rotary;
    int64_t heads; /* 0: 1 */
    float base;    /* 0: default */
    int64_t start;
};

struct proj_job {
    struct array x, w, b, residual; /* [rows][M] or [B][N][M], [out][M], [out], as y */
    struct proj_options options;
};

/* Checks ranks, heads, bias and residual; the library checks the rest. Makes a zeroed y. */
int proj_job_result(const struct proj_job *job, struct array *y);
void proj_job_free(struct proj_job *job);

/* As attn_job_open(). */
int proj_job_open(struct work *w, struct session *s, const struct proj_job *job, clattn_dtype dtype,
                  const char *kernel, struct array *y);

/* --weights, --transposed, --rotary, --heads, --rotary-base and --start. */
enum { PROJ_NUM_OPTIONS = 6 };
void proj_options_specs(struct proj_options *o, struct option_spec *specs);
void proj_options_text(const struct proj_options *o, char *text, size_t size);

/* Plain loops over the inputs as they are; rotary and quantisation aside. */
int naive_projection(const struct proj_job *job, bool in_double, struct array *y);

#endif
