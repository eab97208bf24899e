/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decode for bench and cost: few new rows of q against a contiguous cache of keys and values,
 * attention alone, and in cost the whole attention layer around it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "attn_bench.h"

static int options(void *state, struct option_spec *specs)
{
    ((struct attn_bench *)state)->options.causal = CLATTN_CAUSAL_BOTTOM_RIGHT;
    return attn_bench_options(state, specs);
}

enum { HK, KV_BYTES, WEIGHT_BYTES };

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
                                const char *part, const struct attn_bench *st, clattn_dtype dtype)
{
    struct cost_row *row = cost_add(t, variant->name);

    snprintf(row->part, sizeof row->part, "%s", part);
    row->value[HK] = (double)variant->Hk;
    row->value[KV_BYTES] = attn_cache_bytes(&st->n, variant->Hk, dtype);
    return row;
}

static void cost(const void *state, clattn_dtype dtype, struct cost_table *t)
{
    const struct attn_bench *st = state;
    const struct qkv_sizes *n = &st->n;
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
    for (int i = 0; i < count; i++)
        attn_bench_count(st, variant[i].Hk, dtype, add_row(t, &variant[i], "attention", st, dtype));
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
    QKV_SHAPE,           sizeof(struct attn_bench), options, attn_bench_set_shape,
    attn_bench_describe, attn_bench_open,           cost,
};

const struct op tool_decode = { .name = "decode", .bench = &bench_decode };
