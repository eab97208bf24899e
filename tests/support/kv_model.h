/* SPDX-License-Identifier: Apache-2.0 */
/* A KV cache and, beside it, a plain host model: every row of every sequence as floats. */
#ifndef TEST_KV_MODEL_H
#define TEST_KV_MODEL_H

#include "memory.h"
#include "test_random.h"

typedef struct kv_rows {
    int64_t length;
    float *k, *v; /* [length][Hk][D or Dv]: what was appended */
} kv_rows;

typedef struct kv_model {
    clattn_ctx *ctx;
    clattn_kv *kv;
    struct clattn_kv_params params; /* defaults filled in */
    kv_rows *seq;                   /* [params.sequences] */
} kv_model;

void kv_model_make(kv_model *m, clattn_ctx *ctx, const struct clattn_kv_params *params);
void kv_model_free(kv_model *m);

/* Rows on their way into a cache: count sequences from first on, n rows each. */
typedef struct kv_input {
    int first, count, n;
    clattn_dtype dtype;
    const char *kernel;   /* or NULL */
    clattn_rotary rotary; /* of base 500; the model's keys are not turned */
    bool bnhd, host;    /* memory [B][N][H][D]; host memory in place of a buffer */
    float *k, *v;       /* dense [count][Hk][n][D or Dv] */
} kv_input;

/* Random rows, now and then of zeros; to be freed by kv_input_free(). */
void kv_input_make(kv_input *in, const kv_model *m, int first, int count, int n,
                   clattn_dtype dtype, test_rng *rng);
void kv_input_free(kv_input *in);

/* The call; the model follows when it succeeds. */
clattn_status kv_model_append(kv_model *m, const kv_input *in);

/* kv_input_make(), kv_model_append(), which must succeed, kv_input_free(). */
void kv_model_fill(kv_model *m, int first, int count, int n, clattn_dtype dtype, test_rng *rng);

/* The library's state has changed: now the model's. */
void kv_model_truncate(kv_model *m, int b, int64_t length);
void kv_model_reorder(kv_model *m, const int64_t *from);

/* Lengths and rows of the cache are the model's. */
void kv_model_check(const kv_model *m);

/* Rows that the cache holds, as it reads them: [rows][Hk][D or Dv]. To be freed. */
float *kv_model_read(const kv_model *m, int b, bool values);

#endif
