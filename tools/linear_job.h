/* SPDX-License-Identifier: Apache-2.0 */
/* One linear attention problem of the command line: host tensors, options, its run on a device. */
#ifndef LINEAR_JOB_H
#define LINEAR_JOB_H

#include "qkv.h"
#include "work.h"

struct linear_options {
    clattn_feature_map map;
    float c;     /* as it is */
    float scale; /* 0: none */
    bool causal, unnormalized;
    clattn_linear_form form;
};

/* Elu1 and c = 1. */
extern const struct linear_options linear_defaults;

/* --feature-map, --c, --scale, --causal, --unnormalized and --form. */
enum { LINEAR_NUM_OPTIONS = 7 };
void linear_options_specs(struct linear_options *o, struct option_spec *specs);

/* "elu1 causal"; never "". */
void linear_options_text(const struct linear_options *o, char *text, size_t size);

/* EXIT_OK, or fail(code, ...): "identity", "relu", "elu1", "exp", "poly2". */
int linear_map_parse(int code, const char *text, clattn_feature_map *out);

/* Width of the features. */
int64_t linear_features(clattn_feature_map map, int64_t D);

/* Useful flops, as the library counts them, of the two forms. */
double linear_flops(const struct qkv_sizes *n, const struct linear_options *o);
double quadratic_flops(const struct qkv_sizes *n, const struct linear_options *o);

/* Length from which on the linear form needs fewer flops than the quadratic one. */
double linear_break_even(const struct qkv_sizes *n, const struct linear_options *o);

/* EXIT_OK, or fail(): the states of poly2 grow with the square of D. */
int linear_check(const struct qkv_sizes *n, const struct linear_options *o);

struct linear_job {
    struct qkv in;
    struct array in_kv, in_z;
    struct linear_options options;
};

void linear_job_free(struct linear_job *job);

/* Results, f32; a dtype other than CLATTN_NONE asks for one before the run. */
struct linear_results {
    struct array o, kv, z;
};

int linear_results_new(const struct linear_job *job, bool state, struct linear_results *out);
void linear_results_free(struct linear_results *results);

/* As attn_job_open(). */
int linear_job_open(struct work *w, struct session *s, const struct linear_job *job,
                    clattn_dtype dtype, const char *kernel, struct linear_results *results);

/* Token by token through the state, sums in f32 or in double. Only for jobs that were accepted. */
int naive_linear_f32(const struct linear_job *job, struct linear_results *results);
int naive_linear_f64(const struct linear_job *job, struct linear_results *results);

#endif
