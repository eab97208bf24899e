/* SPDX-License-Identifier: Apache-2.0 */
/* See fault_operations.h. */
#include "fault_operations.h"

#include <check.h>
#include <string.h>

#include "suite.h"

/* clattn_NAME() and clattn_plan_NAME() of any params. */
#define FORMS(name)                                                                        \
    static clattn_status call_##name(clattn_ctx *ctx, const void *params)                  \
    {                                                                                      \
        return clattn_##name(ctx, params);                                                 \
    }                                                                                      \
    static clattn_status plan_##name(clattn_ctx *ctx, const void *params, clattn_plan **out) \
    {                                                                                      \
        return clattn_plan_##name(ctx, params, out);                                       \
    }

FORMS(attention)
FORMS(argmax)
FORMS(linear_attention)
FORMS(projection)
FORMS(rope)
FORMS(rowwise)
FORMS(embedding)
FORMS(merge)

/* ---- softmax and argmax attention ---- */

static const attn_spec prefill = { .name = "prefill", .B = 1, .Hq = 2, .Hk = 1, .Nq = 9, .Nk = 11,
                                   .D = 8, .Dv = 8, .lse = true, .probs = true,
                                   .causal = CLATTN_CAUSAL_BOTTOM_RIGHT };
/* Split over the keys: a kernel, and one that merges what it leaves. */
static const attn_spec decode = { .name = "decode", .B = 1, .Hq = 2, .Hk = 1, .Nq = 1, .Nk = 600,
                                  .D = 8, .Dv = 8, .in = CLATTN_F16, .lse = true };
static const attn_spec hardmax = { .name = "argmax", .B = 1, .Hq = 2, .Hk = 1, .Nq = 3, .Nk = 40,
                                   .D = 8, .Dv = 8, .argmax = true };

static void attention_make(fault_case *c, clattn_ctx *ctx, const void *spec)
{
    c->data = attn_data_make(spec, suite_seed());
    attn_run_make(&c->run.attention, ctx, c->data);
    c->params = &c->run.attention.params;
}

static void argmax_make(fault_case *c, clattn_ctx *ctx, const void *spec)
{
    attention_make(c, ctx, spec);
    c->params = &c->run.attention.argmax;
}

static void attention_check(fault_case *c)
{
    attn_run_check(&c->run.attention);
}

static void attention_free(fault_case *c)
{
    attn_run_free(&c->run.attention);
    attn_data_free(c->data);
}

/* ---- linear attention ---- */

static const linear_spec chunks = { .name = "linear", .B = 1, .Hq = 2, .Hk = 1, .Nq = 70, .Nk = 70,
                                    .D = 4, .Dv = 4, .map = CLATTN_MAP_ELU1, .causal = true,
                                    .state_in = true, .state_out = true };
static const linear_spec step = { .name = "step", .B = 1, .Hq = 2, .Hk = 1, .Nq = 1, .Nk = 1,
                                  .D = 3, .Dv = 5, .map = CLATTN_MAP_POLY2, .state_in = true,
                                  .state_out = true };

static void linear_attention_make(fault_case *c, clattn_ctx *ctx, const void *spec)
{
    c->data = linear_data_make(spec, suite_seed());
    linear_run_make(&c->run.linear, ctx, c->data);
    c->params = &c->run.linear.params;
}

static void linear_attention_check(fault_case *c)
{
    linear_run_check(&c->run.linear);
}

static void linear_attention_free(fault_case *c)
{
    linear_run_free(&c->run.linear);
    linear_data_free(c->data);
}

/* ---- projections ---- */

static const proj_spec many_rows = { .name = "many rows", .B = 1, .N = 40, .M = 32,
                                     .part = { { .H = 2, .K = 8, .bias = true,
                                                 .rotary = CLATTN_ROTARY_NEOX },
                                               { .H = 1, .K = 8 } } };
static const proj_spec few_rows = { .name = "few rows", .B = 1, .N = 1, .M = 64, .w = CLATTN_I8,
                                    .part = { { .H = 2, .K = 16 } } };

static void projection_make(fault_case *c, clattn_ctx *ctx, const void *spec)
{
    c->data = proj_data_make(spec, suite_seed());
    proj_run_make(&c->run.projection, ctx, c->data);
    c->params = &c->run.projection.params;
}

static void projection_check(fault_case *c)
{
    proj_run_check(&c->run.projection);
}

static void projection_free(fault_case *c)
{
    proj_run_free(&c->run.projection);
    proj_data_free(c->data);
}

static const rope_spec turned = { .name = "rope", .B = 1, .N = 3, .H = 2, .D = 8,
                                  .rotary = CLATTN_ROTARY_GPTJ };

static void rope_make(fault_case *c, clattn_ctx *ctx, const void *spec)
{
    rope_run_make(&c->run.rope, ctx, spec, suite_seed());
    c->params = &c->run.rope.params;
}

static void rope_check(fault_case *c)
{
    rope_run_check(&c->run.rope);
}

static void rope_free(fault_case *c)
{
    rope_run_free(&c->run.rope);
}

/* ---- rows ---- */

static const row_spec norm = { .name = "norm", .function = CLATTN_ROW_NORM, .B = 1, .N = 3, .M = 37,
                               .vectors = true };

static void row_make(fault_case *c, clattn_ctx *ctx, const void *spec)
{
    row_run_make(&c->run.row, ctx, spec, suite_seed());
    c->params = &c->run.row.params;
}

static void row_check(fault_case *c)
{
    row_run_check(&c->run.row);
}

static void row_free(fault_case *c)
{
    row_run_free(&c->run.row);
}

static const embedding_spec tokens = { .name = "embedding", .B = 2, .N = 3, .M = 5, .V = 7, .P = 8,
                                       .T = 2, .type_ids = true };

static void embedding_make(fault_case *c, clattn_ctx *ctx, const void *spec)
{
    embedding_run_make(&c->run.embedding, ctx, spec, suite_seed());
    c->params = &c->run.embedding.params;
}

static void embedding_check(fault_case *c)
{
    embedding_run_check(&c->run.embedding);
}

static void embedding_free(fault_case *c)
{
    embedding_run_free(&c->run.embedding);
}

/* ---- merge: parts that agree, so that the result is any of them ---- */

enum { PARTS = 3, HEADS = 2, ROWS = 5, WIDTH = 7 };

static void merge_make(fault_case *c, clattn_ctx *ctx, const void *spec)
{
    static const int64_t shape[] = { PARTS, 1, HEADS, ROWS, WIDTH };
    float o[PARTS * HEADS * ROWS * WIDTH], lse[PARTS * HEADS * ROWS];
    test_memory *m = &c->run.merge.o_parts;
    (void)spec;
    for (int i = 0; i < PARTS * HEADS * ROWS * WIDTH; i++)
        o[i] = (float)(i % WIDTH);
    for (int i = 0; i < PARTS * HEADS * ROWS; i++)
        lse[i] = (float)(i % 4);
    memory_make(&m[0], ctx, false, CLATTN_F32, 5, shape, NULL);
    memory_make(&m[1], ctx, false, CLATTN_F32, 4, shape, NULL);
    memory_make(&m[2], ctx, true, CLATTN_F32, 4, shape + 1, NULL);
    memory_make(&m[3], ctx, true, CLATTN_F32, 3, shape + 1, NULL);
    memory_put(&m[0], o);
    memory_put(&m[1], lse);
    c->run.merge.params = *clattn_merge_params(.o_parts = m[0].tensor, .lse_parts = m[1].tensor,
                                               .o = m[2].tensor, .lse = m[3].tensor);
    c->params = &c->run.merge.params;
}

static void merge_check(fault_case *c)
{
    float o[HEADS * ROWS * WIDTH];
    memory_get(&c->run.merge.o, "o", o);
    memory_get(&c->run.merge.lse, "lse", NULL);
    for (int i = 0; i < HEADS * ROWS * WIDTH; i++)
        ck_assert_float_eq_tol(o[i], (float)(i % WIDTH), 1e-4f);
}

static void merge_free(fault_case *c)
{
    test_memory *m = &c->run.merge.o_parts;
    for (int i = 0; i < 4; i++)
        memory_free(&m[i]);
}

#define OF(op, family) call_##op, plan_##op, family##_make, family##_check, family##_free

const fault_operation fault_operations[] = {
    { "prefill", &prefill, OF(attention, attention) },
    { "decode", &decode, OF(attention, attention) },
    { "argmax", &hardmax, call_argmax, plan_argmax, argmax_make, attention_check, attention_free },
    { "linear attention", &chunks, OF(linear_attention, linear_attention) },
    { "linear attention, one step", &step, OF(linear_attention, linear_attention) },
    { "projection of many rows", &many_rows, OF(projection, projection) },
    { "projection of few rows", &few_rows, OF(projection, projection) },
    { "rope", &turned, OF(rope, rope) },
    { "rowwise", &norm, OF(rowwise, row) },
    { "embedding", &tokens, OF(embedding, embedding) },
    { "merge", NULL, OF(merge, merge) },
    { NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
