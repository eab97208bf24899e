/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One problem of softmax or argmax attention of the command line: host tensors, options, and its
 * run on a device.
 */
#ifndef ATTN_JOB_H
#define ATTN_JOB_H

#include "qkv.h"
#include "work.h"

struct attn_options {
    float scale, softcap; /* 0: default, off */
    clattn_causal causal;
    bool window;
    int64_t left, right;
};

struct attn_job {
    bool argmax; /* argmax attention: no bias, alibi, sinks, scale, softcap */
    struct qkv in;
    struct array mask, bias, alibi, sinks;
    struct attn_options options;
};

void attn_job_free(struct attn_job *job);

/*
 * Results, f32, the index i32; a dtype other than CLATTN_NONE asks for one before the run. lse and
 * probs are of softmax attention, the index is of argmax attention.
 */
struct attn_results {
    struct array o, lse, probs, index;
};

/* Which results beside o are wanted. */
struct attn_wanted {
    bool lse, probs, index;
};

/* Zeroed arrays of the right shapes for o and what is wanted. */
int attn_results_new(const struct attn_job *job, const struct attn_wanted *wanted,
                     struct attn_results *out);
void attn_results_free(struct attn_results *results);

/*
 * Uploads the tensors as dtype (mask, alibi, sinks as they are) and plans. Which results are wanted
 * shows in results. work_end() also after a failure.
 */
int attn_job_open(struct work *w, struct session *s, const struct attn_job *job, clattn_dtype dtype,
                  const char *kernel, struct attn_results *results);

/*
 * Plain loops, sums in f32 or in double, over the inputs as they are. Only for jobs that the
 * library has accepted: nothing is checked here. Ragged jobs have no probs.
 */
int naive_attention_f32(const struct attn_job *job, struct attn_results *results);
int naive_attention_f64(const struct attn_job *job, struct attn_results *results);

/* ---- options, see attn_options.c ---- */

/* --causal, --window, --scale and --softcap; argmax attention takes the first two. */
enum { ATTN_NUM_OPTIONS = 4, ATTN_NUM_VISIBILITY = 2 };
void attn_options_specs(struct attn_options *o, struct option_spec *specs);

/* "causal window=16,0 scale=0.3"; "" for none. */
void attn_options_text(const struct attn_options *o, char *text, size_t size);

/* ---- costs, see attn_flops.c ---- */

/* Pairs (row, key) that causality and window leave visible, of one head. */
double attn_visible(const struct qkv_sizes *n, const struct attn_options *o);

/* Useful flops, as the library counts them: 2 (D + Dv) for each visible pair of each head. */
double attn_flops(const struct qkv_sizes *n, const struct attn_options *o);

/* Argmax attention: 2 D for each pair; q, k, and o, which is read from v and written. */
double argmax_flops(const struct qkv_sizes *n, const struct attn_options *o);
double argmax_bytes(const struct qkv_sizes *n, clattn_dtype dtype);

#endif
