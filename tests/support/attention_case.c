/* SPDX-License-Identifier: Apache-2.0 */
/* Attention problems as tensors: layouts, parameters, checks. */
#include "attention_case.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cache_case.h"
#include "compare.h"
#include "suite.h"

test_layout attn_layout_of(attn_layout layout, bool ragged)
{
    test_layout l = { .order = { 0, 1, 2, 3 } };

    if (layout == LAYOUT_BNHD) {
        l.order[1] = 2, l.order[2] = 1;
    } else if (layout == LAYOUT_PADDED) {
        l.order[0] = 1, l.order[1] = 0;
        l.row_pad = 3;
        l.offset = 5;
    }
    if (ragged) /* [T][H][D], or [H][T][D] */
        l.order[0] = layout != LAYOUT_DENSE, l.order[1] = !l.order[0], l.order[2] = 2;
    return l;
}

/* q, k, v or o. */
static void make_rows(test_memory *m, clattn_ctx *ctx, const attn_data *d, bool written,
                      clattn_dtype dtype, int heads, size_t rows, int width)
{
    const bool ragged = d->cu_q != NULL;
    const test_layout layout = attn_layout_of(d->spec.layout, ragged);
    const int64_t dense[4] = { d->spec.B, heads, (int64_t)rows, width };
    const int64_t packed[3] = { (int64_t)rows, heads, width };

    memory_make(m, ctx, written, dtype, ragged ? 3 : 4, ragged ? packed : dense, &layout);
}

static void make_keys_and_values(attn_run *run, clattn_ctx *ctx)
{
    const attn_data *d = run->data;
    const attn_spec *s = &d->spec;

    if (s->kv)
        return; /* see cache_run_make() */
    make_rows(&run->k, ctx, d, false, s->in, s->Hk, d->k_rows, s->D);
    make_rows(&run->v, ctx, d, false, s->in, s->Hk, d->k_rows, s->Dv);
    memory_put(&run->k, d->k);
    memory_put(&run->v, d->v);
}

static void make_vector(test_memory *m, clattn_ctx *ctx, clattn_dtype dtype, int n,
                        const void *values)
{
    const int64_t shape[1] = { n };

    if (!values)
        return;
    memory_make(m, ctx, false, dtype, 1, shape, NULL);
    memory_put_bytes(m, values);
}

static void make_mask_and_bias(attn_run *run, clattn_ctx *ctx)
{
    static const test_layout dense, keys_outside = { .order = { 0, 1, 3, 2 }, .offset = 7 };
    const attn_data *d = run->data;
    const test_layout *layout = d->spec.layout == LAYOUT_PADDED ? &keys_outside : &dense;
    int64_t mask[4], bias[4];

    for (int a = 0; a < 4; a++) {
        mask[a] = d->ref.mask_shape[a];
        bias[a] = d->ref.bias_shape[a];
    }
    if (d->mask) {
        memory_make(&run->mask, ctx, false, CLATTN_U8, 4, mask, layout);
        memory_put_bytes(&run->mask, d->mask);
    }
    if (d->bias) {
        memory_make(&run->bias, ctx, false, d->spec.bias_type, 4, bias, layout);
        memory_put(&run->bias, d->bias);
    }
}

static void make_statistics(attn_run *run, clattn_ctx *ctx)
{
    static const test_layout heads_outside = { .order = { 1, 0, 2, 3 }, .row_pad = 2, .offset = 3 };
    const attn_spec *s = &run->data->spec;
    const test_layout *layout = s->layout == LAYOUT_PADDED ? &heads_outside : NULL;
    const int64_t dense[3] = { s->B, s->Hq, s->Nq };
    const int64_t packed[2] = { s->Hq, (int64_t)run->data->q_rows };
    const int64_t probs[4] = { s->B, s->probs_heads, s->probs_rows, s->Nk };
    const bool ragged = run->data->cu_q != NULL;

    if (s->lse)
        memory_make(&run->lse, ctx, true, CLATTN_F32, ragged ? 2 : 3, ragged ? packed : dense,
                    ragged ? NULL : layout);
    if (s->argmax)
        memory_make(&run->index, ctx, true, CLATTN_I32, ragged ? 2 : 3, ragged ? packed : dense,
                    ragged ? NULL : layout);
    if (s->probs)
        memory_make(&run->probs, ctx, true, CLATTN_F32, 4, probs, layout);
}

void attn_run_make(attn_run *run, clattn_ctx *ctx, const attn_data *d)
{
    const attn_spec *s = &d->spec;

    memset(run, 0, sizeof *run);
    run->data = d;
    make_rows(&run->q, ctx, d, false, s->in, s->Hq, d->q_rows, s->D);
    make_rows(&run->o, ctx, d, true, s->out, s->Hq, d->q_rows, s->Dv);
    memory_put(&run->q, d->q);
    make_keys_and_values(run, ctx);
    make_statistics(run, ctx);
    make_mask_and_bias(run, ctx);
    make_vector(&run->alibi, ctx, CLATTN_F32, s->Hq, d->alibi);
    make_vector(&run->sinks, ctx, CLATTN_F32, s->Hq, d->sinks);
    make_vector(&run->cu_q, ctx, CLATTN_I32, s->B + 1, s->kv ? NULL : d->cu_q);
    make_vector(&run->cu_k, ctx, CLATTN_I32, s->B + 1, s->kv ? NULL : d->cu_k);
    run->params = *clattn_attention_params(
        .q = run->q.tensor, .k = run->k.tensor, .v = run->v.tensor, .o = run->o.tensor,
        .lse = run->lse.tensor, .probs = run->probs.tensor, .probs_head = s->probs_head,
        .probs_row = s->probs_row, .mask = run->mask.tensor, .bias = run->bias.tensor,
        .alibi = run->alibi.tensor, .sinks = run->sinks.tensor, .scale = s->scale,
        .softcap = s->softcap, .causal = s->causal, .window = s->window, .window_left = s->left,
        .window_right = s->right, .cu_seqlens_q = run->cu_q.tensor,
        .cu_seqlens_k = run->cu_k.tensor, .max_seqlen_q = d->cu_q ? s->Nq : 0,
        .max_seqlen_k = d->cu_k ? s->Nk : 0);
    run->argmax = *clattn_argmax_params(
        .q = run->q.tensor, .k = run->k.tensor, .v = run->v.tensor, .o = run->o.tensor,
        .index = run->index.tensor, .mask = run->mask.tensor, .causal = s->causal,
        .window = s->window, .window_left = s->left, .window_right = s->right,
        .cu_seqlens_q = run->cu_q.tensor, .cu_seqlens_k = run->cu_k.tensor,
        .max_seqlen_q = d->cu_q ? s->Nq : 0, .max_seqlen_k = d->cu_k ? s->Nk : 0);
    if (s->stats)
        stats_run_make(run, ctx);
    if (s->kv)
        cache_run_make(run, ctx);
}

void attn_run_free(attn_run *run)
{
    test_memory *all[] = { &run->q,    &run->k,    &run->v,    &run->o,
                           &run->lse,  &run->probs, &run->mask, &run->bias,
                           &run->alibi, &run->sinks, &run->cu_q, &run->cu_k,
                           &run->index, &run->k_scale, &run->v_scale, &run->lengths,
                           &run->table };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        memory_free(all[i]);
    stats_run_free(run);
}

void attn_run_poison(attn_run *run)
{
    memory_poison(&run->o);
    if (run->data->spec.lse)
        memory_poison(&run->lse);
    if (run->data->spec.probs)
        memory_poison(&run->probs);
    if (run->data->spec.argmax)
        memory_poison(&run->index);
    if (run->data->spec.stats)
        stats_run_poison(run);
}

void attn_run_put_lse(attn_run *run)
{
    const attn_data *d = run->data;
    float *lse = memory_alloc(d->count_lse * sizeof *lse);
    for (size_t i = 0; i < d->count_lse; i++)
        lse[i] = (float)d->lse[i];
    memory_put(&run->lse, lse);
    free(lse);
}

/* The chosen heads and rows of the reference, in the order of the probs tensor. */
void attn_run_check_probs(attn_run *run)
{
    const attn_data *d = run->data;
    const attn_spec *s = &d->spec;
    const size_t n = (size_t)clattn_tensor_count(&run->probs.tensor);
    float *got = memory_alloc(n * sizeof *got);
    double *want = memory_alloc(n * sizeof *want);
    size_t to = 0;

    memory_get(&run->probs, "probs", got);
    for (int b = 0; b < s->B; b++)
        for (int h = s->probs_head; h < s->probs_head + s->probs_heads; h++)
            for (int i = s->probs_row; i < s->probs_row + s->probs_rows; i++, to += s->Nk) {
                const size_t from = (((size_t)b * s->Hq + h) * s->Nq + i) * s->Nk;
                memcpy(want + to, d->probs + from, (size_t)s->Nk * sizeof *want);
            }
    compare_pass("probs", got, want, d->naive_probs, n, CLATTN_F32);
    free(got), free(want);
}

void attn_run_check(attn_run *run)
{
    const attn_data *d = run->data;
    float *got = memory_alloc((d->count_o + d->count_lse) * sizeof *got);

    if (d->spec.argmax) {
        argmax_check(run);
    } else {
        memory_get(&run->o, "o", got);
        compare_pass("o", got, d->o, d->naive_o, d->count_o, d->spec.out);
    }
    if (d->spec.lse) {
        memory_get(&run->lse, "lse", got);
        compare_pass("lse", got, d->lse, d->naive_lse, d->count_lse, CLATTN_F32);
    }
    if (d->spec.probs)
        attn_run_check_probs(run);
    if (d->spec.stats)
        stats_run_check(run);
    free(got);
    memory_unchanged(&run->q, "q");
    memory_unchanged(&run->k, "k");
    memory_unchanged(&run->v, "v");
    memory_unchanged(&run->mask, "mask");
    memory_unchanged(&run->bias, "bias");
    memory_unchanged(&run->k_scale, "k_scale");
    memory_unchanged(&run->v_scale, "v_scale");
    memory_unchanged(&run->table, "block_table");
}

float *attn_run_output(attn_run *run)
{
    float *o = memory_alloc(run->data->count_o * sizeof *o);
    memory_get(&run->o, "o", o);
    return o;
}

void attn_check(clattn_ctx *ctx, bool host, const attn_data *data, const char *kernel)
{
    attn_run run;

    attn_run_make(&run, host ? NULL : ctx, data);
    run.params.kernel = run.argmax.kernel = kernel;
    if (data->spec.argmax)
        OK(ctx, clattn_argmax(ctx, &run.argmax));
    else
        OK(ctx, clattn_attention(ctx, &run.params));
    attn_run_check(&run);
    attn_run_free(&run);
}

void attn_check_empty(attn_spec spec, int empty)
{
    spec.B = empty & 1 ? 0 : spec.B;
    spec.Hq = empty & 2 ? 0 : spec.Hq;
    spec.Hk = empty & 2 ? 0 : spec.Hk;
    spec.Nq = empty & 4 ? 0 : spec.Nq;
    spec.Nk = empty & 8 ? 0 : spec.Nk;
    attn_data *data = attn_data_make(&spec, suite_seed());
    for (int host = 0; host < 2; host++) {
        compare_label("B %d H %d Nq %d Nk %d%s", spec.B, spec.Hq, spec.Nq, spec.Nk,
                      host ? ", host" : "");
        attn_check(suite_ctx(), host, data, NULL);
    }
    attn_data_free(data);
}

void attn_check_plan(const attn_spec *spec, bool host)
{
    clattn_ctx *ctx = suite_ctx();
    attn_data *data[2];
    attn_run runs[2];
    clattn_plan *plan;

    for (int i = 0; i < 2; i++) {
        data[i] = attn_data_make(spec, suite_seed() + (uint64_t)i);
        attn_run_make(&runs[i], host ? NULL : ctx, data[i]);
    }
    OK(ctx, spec->argmax ? clattn_plan_argmax(ctx, &runs[0].argmax, &plan)
                         : clattn_plan_attention(ctx, &runs[0].params, &plan));
    for (int repeat = 0; repeat < 3; repeat++) {
        compare_label("own tensors, repeat %d", repeat);
        attn_run_poison(&runs[0]);
        OK(ctx, clattn_plan_run(plan));
        OK(ctx, clattn_finish(ctx));
        attn_run_check(&runs[0]);
        compare_label("other tensors, repeat %d", repeat);
        attn_run_poison(&runs[1]);
        OK(ctx, spec->argmax ? clattn_plan_run_argmax(plan, &runs[1].argmax)
                             : clattn_plan_run_attention(plan, &runs[1].params));
        attn_run_check(&runs[1]);
    }
    clattn_plan_destroy(&plan);
    for (int i = 0; i < 2; i++) {
        attn_run_free(&runs[i]);
        attn_data_free(data[i]);
    }
}
