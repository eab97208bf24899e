/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax or argmax attention of .npy files: what the two subcommands share. */
#ifndef ATTN_FILES_H
#define ATTN_FILES_H

#include "attn_job.h"
#include "output.h"

/* Zeroed, then filled from the command line: paths and job.options, job.argmax. */
struct attn_files {
    struct common common;
    const char *q, *k, *v, *mask, *bias, *alibi, *sinks; /* inputs; NULL: not given */
    const char *o, *lse, *probs, *index;                 /* outputs, likewise */
    struct attn_job job;
    struct attn_results results;
    struct outputs files;
    int rank; /* of q, k and v as given */
};

/* Loads, runs, writes all outputs or none, reports. Returns an exit code. */
int attn_files_run(struct attn_files *a);

#endif
