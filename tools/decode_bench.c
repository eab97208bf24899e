/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decode for bench and cost: few new rows of q against a cache of keys and values, attention alone,
 * and in cost the whole attention layer around it. The cache is a pair of tensors, or with --kv or
 * --page a cache object.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attn_bench.h"
#include "cli.h"

WORK_CALLS(attention);

struct decode_bench {
    struct attn_bench attention; /* first: the functions of attn_bench take this struct */
    clattn_dtype kv;             /* of the cache object; NONE: that of q, or no object at all */
    int64_t page;                /* rows of a page; 0: contiguous */
};

static int options(void *state, struct option_spec *specs)
{
    struct decode_bench *st = state;
    const struct option_spec own[] = {
        { "kv", 0, "T", "a cache object of f32, f16, bf16, i8 or i4", parse_storage, &st->kv },
        { "page", 0, "N", "a cache object with pages of N rows", parse_int, &st->page },
    };

    st->attention.options.causal = CLATTN_CAUSAL_BOTTOM_RIGHT;
    const int n = attn_bench_options(state, specs);
    specs[n] = own[0];
    specs[n + 1] = own[1];
    return n + 2;
}

static void describe(const void *state, char *text, size_t size)
{
    const struct decode_bench *st = state;

    attn_bench_describe(state, text, size);
    if (st->kv)
        add_word(text, size, "kv=%s", clattn_dtype_name(st->kv));
    if (st->page)
        add_word(text, size, "page=%" PRId64, st->page);
}

/* ------------------------------------------------------------------------------------------ */
/* A cache object                                                                             */

/* Copies of the B sequences, each of them stored by itself. */
static clattn_status fill(clattn_ctx *ctx, const struct work *w, const struct qkv *in)
{
    const struct qkv_sizes *n = &in->n;

    for (int64_t i = 0; i < w->copies; i++) {
        const clattn_status status = clattn_kv_append(
            ctx, clattn_kv_append_params(
                     .kv = w->kv, .sequence = i * n->B,
                     .k = clattn_tensor_of_host(in->k.data, CLATTN_F32, 4, in->k.shape),
                     .v = clattn_tensor_of_host(in->v.data, CLATTN_F32, 4, in->v.shape)));
        if (status != CLATTN_OK)
            return status;
    }
    return CLATTN_OK;
}

static int open_cache(const struct decode_bench *st, struct work *w, const struct qkv *in,
                      clattn_dtype dtype)
{
    const struct qkv_sizes *n = &in->n;
    struct session *s = w->session;
    const double room = (double)s->device->global_bytes / 4;

    w->kv_step = n->B;
    w->copies = work_copies(s, attn_cache_bytes(n, n->Hk, CLATTN_I8), room);
    clattn_status status = clattn_kv_create(
        s->ctx, clattn_kv_params(.sequences = w->copies * n->B, .heads = n->Hk, .key_width = n->D,
                                 .value_width = n->Dv, .capacity = n->Nk, .dtype = dtype,
                                 .page_rows = st->page), &w->kv);
    if (status == CLATTN_OK)
        status = fill(s->ctx, w, in);
    return status == CLATTN_OK ? EXIT_OK : session_fail(s, status);
}

static int open_with_cache(const struct decode_bench *st, const struct bench_item *item,
                           const struct qkv *in, struct array *o, struct work *w,
                           struct session *s)
{
    const struct attn_bench *a = &st->attention;

    if (a->mask || a->bias || a->alibi || a->sinks || a->lse || a->probs)
        return fail(EXIT_USAGE, "--kv and --page go with no other tensors than q and o");
    struct clattn_attention_params *p = work_begin(
        w, s, item->dtype, &attention_calls,
        clattn_attention_params(.scale = a->options.scale, .softcap = a->options.softcap,
                                .causal = a->options.causal, .window = a->options.window,
                                .window_left = a->options.left, .window_right = a->options.right,
                                .kernel = item->kernel));
    if (!p)
        return w->code;
    work_input(w, "q", &in->q, item->dtype, &p->q);
    work_output(w, o, item->dtype, &p->o);
    if (w->code == EXIT_OK)
        w->code = open_cache(st, w, in, st->kv ? st->kv : item->dtype);
    p->kv = w->kv;
    w->kv_sequence = &p->kv_sequence;
    return work_plan(w);
}

static int open(const void *state, const struct bench_item *item, struct work *w,
                struct session *s)
{
    const struct decode_bench *st = state;
    struct qkv in = { 0 };
    struct array o = { 0 };

    if (!st->kv && !st->page)
        return attn_bench_open(state, item, w, s);
    int code = qkv_random(&st->attention.n, item->seed, &in);
    if (code == EXIT_OK)
        code = qkv_result(&in, &o);
    if (code == EXIT_OK)
        code = open_with_cache(st, item, &in, &o, w, s);
    qkv_free(&in);
    array_free(&o);
    return code;
}

/* ------------------------------------------------------------------------------------------ */
/* Costs                                                                                      */

enum { HK, KV_BYTES, WEIGHT_BYTES };

static double row_bytes(clattn_dtype dtype, double width)
{
    if (dtype == CLATTN_I8)
        return width + 4;
    if (dtype == CLATTN_I4)
        return ceil(width / 2) + 4 * ceil(width / 32);
    return width * (double)clattn_dtype_size(dtype);
}

/* Keys and values as the cache stores them, scales included. */
static double kv_bytes(const struct decode_bench *st, int64_t Hk, clattn_dtype q)
{
    const struct qkv_sizes *n = &st->attention.n;
    const clattn_dtype dtype = st->kv ? st->kv : q;

    return (double)n->B * (double)Hk * (double)n->Nk
           * (row_bytes(dtype, (double)n->D) + row_bytes(dtype, (double)n->Dv));
}

/* Elements of W_q, W_k, W_v and W_o, for rows of d = Hq D numbers. */
static double weights(const struct qkv_sizes *n, int64_t Hk)
{
    const double D = (double)n->D, Dv = (double)n->Dv, Hq = (double)n->Hq;

    return Hq * D * (Hq * D + (double)Hk * (D + Dv) + Hq * Dv);
}

/*
 * Adds to attention the projections around it. Of the layer's own rows only x, y and what is
 * appended to the cache need to move; q and o go from one step to the next.
 */
static void count_layer(const struct qkv_sizes *n, int64_t Hk, clattn_dtype dtype,
                        const struct cost_row *attention, struct cost_row *layer)
{
    const double rows = (double)n->B * (double)n->Nq, size = (double)clattn_dtype_size(dtype);
    const double d = (double)n->Hq * (double)n->D, kv = (double)Hk * (double)(n->D + n->Dv);

    layer->value[WEIGHT_BYTES] = size * weights(n, Hk);
    layer->flops = attention->flops + 2 * rows * weights(n, Hk);
    layer->bytes =
        layer->value[WEIGHT_BYTES] + attention->value[KV_BYTES] + size * rows * (2 * d + kv);
}

static struct cost_row *add_row(struct cost_table *t, const struct attn_variant *variant,
                                const char *part, const struct decode_bench *st,
                                clattn_dtype dtype)
{
    struct cost_row *row = cost_add(t, variant->name);

    snprintf(row->part, sizeof row->part, "%s", part);
    row->value[HK] = (double)variant->Hk;
    row->value[KV_BYTES] = kv_bytes(st, variant->Hk, dtype);
    return row;
}

static void cost(const void *state, clattn_dtype dtype, struct cost_table *t)
{
    const struct decode_bench *st = state;
    const struct qkv_sizes *n = &st->attention.n;
    struct attn_variant variant[3];

    *t = (struct cost_table){
        .list = "variants",
        .key = "variant",
        .part_key = "part",
        .column = { [HK] = { "Hk", "Hk", false },
                    [KV_BYTES] = { "kv_bytes", "K and V", true },
                    [WEIGHT_BYTES] = { "weight_bytes", "weights", true } },
        .columns = 3,
    };
    const int count = attn_variants(n, variant, &t->given);
    for (int i = 0; i < count; i++) {
        struct cost_row *row = add_row(t, &variant[i], "attention", st, dtype);
        attn_bench_count(&st->attention, variant[i].Hk, dtype, row);
        row->bytes += row->value[KV_BYTES] - attn_cache_bytes(n, variant[i].Hk, dtype);
    }
    for (int i = 0; i < count; i++)
        count_layer(n, variant[i].Hk, dtype, &t->row[i],
                    add_row(t, &variant[i], "layer", st, dtype));
    snprintf(t->note, sizeof t->note,
             "* as given. A layer is attention and its projections, for rows of d = Hq D = %" PRId64
             "\nnumbers; b = B Nq = %" PRId64 ", n = Nk = %" PRId64 ", h = Hq = %" PRId64
             ". A layer does O(b d^2 + b n d) flops on\nO(d^2 + b d + b n d) bytes with MHA, on"
             " O(d^2 + b d + b n d / h) with MQA, whose heads share K and V.",
             n->Hq * n->D, n->B * n->Nq, n->Nk, n->Hq);
}

const struct bench_op bench_decode = {
    QKV_SHAPE, sizeof(struct decode_bench), options, attn_bench_set_shape, describe, open, cost,
};

const struct op tool_decode = { .name = "decode", .bench = &bench_decode };
