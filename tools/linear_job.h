/* SPDX-License-Identifier: Apache-2.0 */
/* One linear attention problem of the command line: host tensors, options, its run on a device. */
#ifndef LINEAR_JOB_H
#define LINEAR_JOB_H

#include "array.h"
#include "session.h"

struct linear_options {
    clattn_feature_map map;
    float c; /* as it is */
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

struct linear_sizes {
    int64_t B, Hq, Hk, Nq, Nk, D, Dv;
};

/* Width of the features. */
int64_t linear_features(clattn_feature_map map, int64_t D);

/* Useful flops, as the library counts them, of the two forms. */
double linear_flops(const struct linear_sizes *n, const struct linear_options *o);
double quadratic_flops(const struct linear_sizes *n, const struct linear_options *o);

/* Length from which on the linear form needs fewer flops than the quadratic one. */
double linear_break_even(const struct linear_sizes *n, const struct linear_options *o);

struct linear_job {
    bool ragged;           /* q, k, v are [T][H][D] */
    struct linear_sizes n; /* ragged: Nq and Nk are the packed rows */
    struct array q, k, v, in_kv, in_z, cu_q, cu_k;
    struct linear_options options;
};

/* Sizes from the ranks and shapes of q, k and v; the library checks that they fit together. */
int linear_job_sizes(struct linear_job *job);
void linear_job_free(struct linear_job *job);

/* Results, f32; a dtype other than CLATTN_NONE asks for one before the run. */
struct linear_results {
    struct array o, kv, z;
};

int linear_results_new(const struct linear_job *job, bool state, struct linear_results *out);
void linear_results_free(struct linear_results *results);

/* A job on a device: buffers and a plan. */
struct linear_device {
    struct session *session;
    clattn_buffer *q, *k, *v, *o, *in_kv, *in_z, *out_kv, *out_z;
    clattn_dtype dtype;
    clattn_plan *plan;
    clattn_plan_info info;
    double output_bytes;
};

/* As attn_device_open() and its sisters. */
int linear_device_open(struct linear_device *d, struct session *s, const struct linear_job *job,
                       clattn_dtype dtype, const char *kernel,
                       const struct linear_results *results);
int linear_device_run(struct linear_device *d);
int linear_device_read(struct linear_device *d, struct linear_results *results);
void linear_device_close(struct linear_device *d);

/* Token by token through the state, sums in f32 or in double. Only for jobs that were accepted. */
int naive_linear_f32(const struct linear_job *job, struct linear_results *results);
int naive_linear_f64(const struct linear_job *job, struct linear_results *results);

#endif
