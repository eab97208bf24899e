/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and argmax attention for bench and cost: flags, random tensors, costs. */
#include "attn_bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

int attn_bench_options(void *state, struct option_spec *specs)
{
    struct attn_bench *st = state;
    const struct option_spec own[] = {
        { "mask", 0, NULL, "with a random mask [B][1][Nq][Nk]", parse_flag, &st->mask },
        { "bias", 0, NULL, "with a random bias [1][Hq][Nq][Nk]", parse_flag, &st->bias },
        { "alibi", 0, NULL, "with ALiBi slopes", parse_flag, &st->alibi },
        { "sinks", 0, NULL, "with attention sinks", parse_flag, &st->sinks },
        { "lse", 0, NULL, "write the log-sum-exp too", parse_flag, &st->lse },
        { "probs", 0, NULL, "write all probabilities too", parse_flag, &st->probs },
    };

    attn_options_specs(&st->options, specs);
    memcpy(specs + ATTN_NUM_OPTIONS, own, sizeof own);
    return ATTN_NUM_OPTIONS + (int)(sizeof own / sizeof own[0]);
}

static int argmax_options(void *state, struct option_spec *specs)
{
    struct attn_bench *st = state;
    const struct option_spec own[] = {
        { "mask", 0, NULL, "with a random mask [B][1][Nq][Nk]", parse_flag, &st->mask },
        { "index", 0, NULL, "write the indices too", parse_flag, &st->index },
    };

    st->argmax = true;
    attn_options_specs(&st->options, specs);
    memcpy(specs + ATTN_NUM_VISIBILITY, own, sizeof own);
    return ATTN_NUM_VISIBILITY + (int)(sizeof own / sizeof own[0]);
}

int attn_bench_set_shape(void *state, const char *text)
{
    return qkv_parse(text, &((struct attn_bench *)state)->n);
}

void attn_bench_describe(const void *state, char *text, size_t size)
{
    const struct attn_bench *st = state;
    const struct {
        bool on;
        const char *name;
    } flags[] = {
        { st->mask, "mask" },   { st->bias, "bias" }, { st->alibi, "alibi" },
        { st->sinks, "sinks" }, { st->lse, "lse" },   { st->probs, "probs" },
        { st->index, "index" },
    };

    attn_options_text(&st->options, text, size);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (flags[i].on)
            add_word(text, size, "%s", flags[i].name);
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Bench                                                                                      */

static int make_job(const struct attn_bench *st, uint64_t seed, struct attn_job *job)
{
    const float unit = 1.7320508f; /* of variance 1 */
    const struct qkv_sizes *n = &st->n;
    const int64_t mask[] = { n->B, 1, n->Nq, n->Nk }, bias[] = { 1, n->Hq, n->Nq, n->Nk };
    const struct {
        bool on;
        struct array *array;
        clattn_dtype dtype;
        int rank;
        const int64_t *shape;
        float amplitude;
    } extra[] = {
        { st->mask, &job->mask, CLATTN_U8, 4, mask, 1 },
        { st->bias, &job->bias, CLATTN_F32, 4, bias, unit },
        { st->alibi, &job->alibi, CLATTN_F32, 1, &n->Hq, 0.1f },
        { st->sinks, &job->sinks, CLATTN_F32, 1, &n->Hq, unit },
    };

    *job = (struct attn_job){ .argmax = st->argmax, .options = st->options };
    int code = qkv_random(n, seed, &job->in);
    for (unsigned i = 0; i < 4 && code == EXIT_OK; i++) {
        if (extra[i].on)
            code = array_new_random(extra[i].array, extra[i].dtype, extra[i].rank, extra[i].shape,
                                    extra[i].amplitude, seed + 4 + i);
    }
    return code;
}

int attn_bench_open(const void *state, const struct bench_item *item, struct work *w,
                    struct session *s)
{
    const struct attn_bench *st = state;
    const struct attn_wanted wanted = { st->lse, st->probs, st->index };
    struct attn_job job;
    struct attn_results results = { 0 };
    int code = make_job(st, item->seed, &job);

    if (code == EXIT_OK)
        code = attn_results_new(&job, &wanted, &results);
    if (code == EXIT_OK)
        code = attn_job_open(w, s, &job, item->dtype, item->kernel, &results);
    attn_results_free(&results);
    attn_job_free(&job);
    return code;
}

/* ------------------------------------------------------------------------------------------ */
/* Cost                                                                                       */

/* Heads of the grouped variant: the given ones if they are that, else the widest of 8, 4, 2, 3. */
static int64_t grouped_heads(const struct qkv_sizes *n)
{
    static const int64_t groups[] = { 8, 4, 2, 3 };

    if (n->Hk > 1 && n->Hk < n->Hq)
        return n->Hk;
    for (int i = 0; i < 4; i++) {
        if (n->Hq > groups[i] && n->Hq % groups[i] == 0)
            return n->Hq / groups[i];
    }
    return 0;
}

int attn_variants(const struct qkv_sizes *n, struct attn_variant out[3], int *given)
{
    const int64_t grouped = grouped_heads(n);
    int count = 0;

    out[count++] = (struct attn_variant){ "MHA", n->Hq };
    if (grouped)
        out[count++] = (struct attn_variant){ "GQA", grouped };
    if (n->Hq > 1)
        out[count++] = (struct attn_variant){ "MQA", 1 };
    *given = 0;
    for (int i = 0; i < count; i++)
        *given = out[i].Hk == n->Hk ? i : *given;
    return count;
}

double attn_cache_bytes(const struct qkv_sizes *n, int64_t Hk, clattn_dtype dtype)
{
    return (double)clattn_dtype_size(dtype) * (double)n->B * (double)Hk * (double)n->Nk
           * (double)(n->D + n->Dv);
}

void attn_bench_count(const struct attn_bench *st, int64_t Hk, clattn_dtype dtype,
                      struct cost_row *row)
{
    struct qkv_sizes n = st->n;
    const double pairs = (double)n.Nq * (double)n.Nk, B = (double)n.B, Hq = (double)n.Hq;

    n.Hk = Hk;
    row->flops = st->argmax ? argmax_flops(&n, &st->options) : attn_flops(&n, &st->options);
    row->bytes = st->argmax ? argmax_bytes(&n, dtype) : qkv_bytes(&n, dtype);
    if (st->mask)
        row->bytes += B * pairs;
    if (st->bias)
        row->bytes += Hq * pairs * (double)clattn_dtype_size(dtype);
    if (st->lse || st->index)
        row->bytes += 4 * B * Hq * (double)n.Nq;
    if (st->probs)
        row->bytes += 4 * B * Hq * pairs;
}

static void cost(const void *state, clattn_dtype dtype, struct cost_table *t)
{
    const struct attn_bench *st = state;
    struct attn_variant variant[3];

    *t = (struct cost_table){
        .list = "variants",
        .key = "variant",
        .column = { { "Hk", "Hk", false }, { "kv_bytes", "K and V", true } },
        .columns = 2,
    };
    const int n = attn_variants(&st->n, variant, &t->given);
    for (int i = 0; i < n; i++) {
        struct cost_row *row = cost_add(t, variant[i].name);
        row->value[0] = (double)variant[i].Hk;
        row->value[1] = attn_cache_bytes(&st->n, variant[i].Hk, dtype);
        attn_bench_count(st, variant[i].Hk, dtype, row);
    }
    snprintf(t->note, sizeof t->note,
             "* as given. MHA, GQA and MQA differ in the key/value heads Hk that %" PRId64
             " query heads share.",
             st->n.Hq);
}

const struct bench_op bench_attention = {
    QKV_SHAPE,
    sizeof(struct attn_bench),
    attn_bench_options,
    attn_bench_set_shape,
    attn_bench_describe,
    attn_bench_open,
    cost,
};

const struct bench_op bench_argmax = {
    QKV_SHAPE,           sizeof(struct attn_bench), argmax_options, attn_bench_set_shape,
    attn_bench_describe, attn_bench_open,           cost,
};
