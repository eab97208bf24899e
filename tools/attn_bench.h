/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and argmax attention for bench and cost; decode is made of it. */
#ifndef ATTN_BENCH_H
#define ATTN_BENCH_H

#include "attn_job.h"
#include "ops.h"

extern const struct bench_op bench_attention, bench_argmax;

struct attn_bench {
    struct qkv_sizes n;
    struct attn_options options;
    bool argmax;
    bool mask, bias, alibi, sinks, lse, probs, index;
};

/* As the members of struct bench_op, of which state is a struct attn_bench. */
int attn_bench_options(void *state, struct option_spec *specs);
int attn_bench_set_shape(void *state, const char *text);
void attn_bench_describe(const void *state, char *text, size_t size);
int attn_bench_open(const void *state, const struct bench_item *item, struct work *w,
                    struct session *s);

/* A variant of the given shape with other key/value heads. */
struct attn_variant {
    const char *name; /* "MHA" */
    int64_t Hk;
};

/* MHA, GQA and MQA, as far as Hq allows; *given is the one of the shape as it was given. */
int attn_variants(const struct qkv_sizes *n, struct attn_variant out[3], int *given);

/* Flops and bytes of a variant. */
void attn_bench_count(const struct attn_bench *st, int64_t Hk, clattn_dtype dtype,
                      struct cost_row *row);

/* Bytes of all keys and values. */
double attn_cache_bytes(const struct qkv_sizes *n, int64_t Hk, clattn_dtype dtype);

#endif
