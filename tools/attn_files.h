/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax or argmax attention of .npy files: what the two subcommands share. */
#ifndef ATTN_FILES_H
#define ATTN_FILES_H

#include "attn_job.h"
#include "files.h"

/* Places in file_job.in and .out. */
enum { IN_Q, IN_K, IN_V, IN_MASK, IN_BIAS, IN_ALIBI, IN_SINKS };
enum { OUT_O, OUT_LSE, OUT_PROBS, OUT_INDEX };

struct attn_files {
    struct file_job files;
    struct attn_job job;
    struct attn_results results;
};

/* Ready for the options to be parsed into it. */
void attn_files_begin(struct attn_files *a, const char *op);

/* Parses and runs; frees. Returns an exit code. */
int attn_files_main(struct attn_files *a, const struct usage *usage,
                    const struct option_spec *specs, int argc, char **argv);

#endif
