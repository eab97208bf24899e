/* SPDX-License-Identifier: Apache-2.0 */
/* The attention layer: golden cases, decoding with a cache, and what a call that fails leaves. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "golden.h"
#include "kv_model.h"
#include "memory.h"
#include "ref_attention.h"
#include "ref_projection.h"
#include "storage.h"
#include "suite.h"

/* ---- a golden case ---- */

enum { W_Q, W_K, W_V, W_O, NUM_WEIGHTS };

typedef struct layer_case {
    golden_case files;
    golden_array x, w[NUM_WEIGHTS], b[NUM_WEIGHTS], residual, y;
    golden_array cache[2], cache_out[2]; /* k and v */
    int B, N, M, Hq, Hk, D, Dv, out;     /* a decode case has N steps of one row */
    bool decode;
} layer_case;

static void load_weights(layer_case *c)
{
    static const char *const names[][2] = { { "w_q", "b_q" }, { "w_k", "b_k" }, { "w_v", "b_v" },
                                            { "w_o", "b_o" } };
    for (int i = 0; i < NUM_WEIGHTS; i++) {
        c->w[i] = golden_load(&c->files, names[i][0]);
        c->b[i] = golden_load(&c->files, names[i][1]);
    }
}

static void case_open(layer_case *c, const char *name)
{
    memset(c, 0, sizeof *c);
    golden_open(&c->files, name);
    load_weights(c);
    c->x = golden_load(&c->files, "x");
    c->y = golden_load(&c->files, "y");
    c->residual = golden_load(&c->files, "residual");
    c->cache[0] = golden_load(&c->files, "k_cache");
    c->cache[1] = golden_load(&c->files, "v_cache");
    c->cache_out[0] = golden_load(&c->files, "k_cache_out");
    c->cache_out[1] = golden_load(&c->files, "v_cache_out");
    c->decode = strcmp(golden_op(&c->files), "decode_layer") == 0;
    json_t *kv_heads = golden_param(&c->files, "kv_heads");
    c->Hq = (int)json_integer_value(golden_param(&c->files, "heads"));
    c->Hk = kv_heads ? (int)json_integer_value(kv_heads) : c->Hq;
    c->B = (int)c->x.shape[c->decode];
    c->N = (int)c->x.shape[!c->decode];
    c->M = (int)c->x.shape[2];
    c->D = c->decode ? (int)c->w[W_Q].shape[2] : (int)c->w[W_Q].shape[0] / c->Hq;
    c->Dv = c->decode ? (int)c->w[W_O].shape[1] : (int)c->w[W_V].shape[0] / c->Hk;
    c->out = (int)c->y.shape[2];
}

static void case_close(layer_case *c)
{
    for (int i = 0; i < NUM_WEIGHTS; i++)
        free(c->w[i].values), free(c->b[i].values);
    for (int i = 0; i < 2; i++)
        free(c->cache[i].values), free(c->cache_out[i].values);
    free(c->x.values), free(c->y.values), free(c->residual.values);
    golden_close(&c->files);
}

/* The weights as [H][K][M], and W_o as [out][Hq Dv], whatever the layout of the files. */
static clattn_tensor weights(const layer_case *c, int which)
{
    const golden_array *w = &c->w[which];
    const int64_t shared[] = { w->shape[0], 1, w->shape[1] };
    const int64_t joined[] = { (int64_t)c->Hq * c->Dv, c->out };

    if (!c->decode)
        return clattn_tensor_of_host(w->values, CLATTN_F32, 2, w->shape);
    if (which == W_O)
        return clattn_tensor_swap(clattn_tensor_of_host(w->values, CLATTN_F32, 2, joined), 0, 1);
    if (w->rank == 3)
        return clattn_tensor_swap(clattn_tensor_of_host(w->values, CLATTN_F32, 3, w->shape), 1, 2);
    const clattn_tensor heads_inside = clattn_tensor_of_host(w->values, CLATTN_F32, 3, shared);
    return clattn_tensor_swap(clattn_tensor_swap(heads_inside, 0, 1), 1, 2); /* from [d][1][k] */
}

static clattn_projection_part part_of(const layer_case *c, int which)
{
    clattn_projection_part part = { .w = weights(c, which) };

    if (c->b[which].values)
        part.bias = clattn_tensor_of_host(c->b[which].values, CLATTN_F32, 1, c->b[which].shape);
    return part;
}

/* Rows [first, first + n) of x, or of y with its own width, as [B][n][width]. */
static clattn_tensor rows_of(const layer_case *c, const float *x, int width, int first, int n)
{
    const int64_t steps[] = { c->N, c->B, width }, batches[] = { c->B, c->N, width };
    clattn_tensor t = clattn_tensor_of_host(x, CLATTN_F32, 3, c->decode ? steps : batches);

    if (c->decode)
        t = clattn_tensor_swap(t, 0, 1);
    return clattn_tensor_slice(t, 1, first, n);
}

/* The layer over rows [first, first + n); without a cache if kv is NULL. */
static struct clattn_layer_params params_of(const layer_case *c, float *y, int first, int n,
                                            clattn_kv *kv)
{
    struct clattn_layer_params p = *clattn_layer_params(
        .x = rows_of(c, c->x.values, c->M, first, n), .q = part_of(c, W_Q), .k = part_of(c, W_K),
        .v = part_of(c, W_V), .out = part_of(c, W_O), .heads = c->Hq, .kv_heads = c->Hk, .kv = kv);

    p.attention.causal = CLATTN_CAUSAL_BOTTOM_RIGHT;
    p.out.y = rows_of(c, y, c->out, first, n);
    if (c->residual.values)
        p.out.residual = rows_of(c, c->residual.values, c->out, first, n);
    return p;
}

/* ---- the naive layer ---- */

/* Column i of projection `which`: w[i][m] in double, as the reference takes it. */
static double *dense_weights(const layer_case *c, int which)
{
    const clattn_tensor t = weights(c, which);
    const int64_t K = t.rank == 3 ? t.shape[1] : 1, M = t.shape[t.rank - 1];
    const int64_t out = t.shape[0] * K;
    double *w = memory_alloc((size_t)(out * M) * sizeof *w);

    for (int64_t i = 0; i < out; i++)
        for (int64_t m = 0; m < M; m++) {
            const int64_t head = i / K * t.stride[0] + (t.rank == 3 ? i % K * t.stride[1] : 0);
            w[i * M + m] = (double)((float *)t.data)[head + m * t.stride[t.rank - 1]];
        }
    return w;
}

/* y [rows][out] of x [rows][M]. */
static void project(const layer_case *c, int which, int rows, int M, int out, const float *x,
                    const float *residual, float *y)
{
    double *w = dense_weights(c, which);
    const ref_proj p = { .rows = rows, .M = M, .out = out, .K = out, .x = x, .w = w,
                         .bias = c->b[which].values, .residual = residual };
    ref_projection_naive(&p, CLATTN_F32, y);
    free(w);
}

/* Dense rows [n][H][width] of one sequence into [H][all][width], from row `first` on. */
static void put_heads(float *heads, int H, int all, int width, int first, const float *x, int n)
{
    for (int h = 0; h < H; h++)
        for (int i = 0; i < n; i++)
            memcpy(heads + ((size_t)h * all + first + i) * width, x + ((size_t)i * H + h) * width,
                   (size_t)width * sizeof *x);
}

/* All rows of sequence b at once: appended one by one or not, the mathematics is the same. */
static void naive_sequence(const layer_case *c, int b, const float *x, const float *residual,
                           float *y)
{
    const int cached = c->cache[0].values ? (int)c->cache[0].shape[2] : 0, Nk = cached + c->N;
    const int wq = c->Hq * c->D, wk = c->Hk * c->D, wv = c->Hk * c->Dv, wo = c->Hq * c->Dv;
    float *rows = memory_alloc((size_t)c->N * (size_t)(wq + wk + wv + wo) * sizeof *rows);
    float *q = memory_alloc((size_t)(c->N * (wq + wo)) * sizeof *q), *o = q + c->N * wq;
    float *k = memory_alloc((size_t)(Nk * wk) * sizeof *k);
    float *v = memory_alloc((size_t)(Nk * wv) * sizeof *v);
    const ref_attn attention = { .B = 1, .Hq = c->Hq, .Hk = c->Hk, .Nq = c->N, .Nk = Nk, .D = c->D,
                                 .Dv = c->Dv, .q = q, .k = k, .v = v,
                                 .causal = CLATTN_CAUSAL_BOTTOM_RIGHT };

    for (int h = 0; h < c->Hk && cached; h++) {
        memcpy(k + (size_t)h * Nk * c->D, c->cache[0].values + (b * c->Hk + h) * cached * c->D,
               (size_t)(cached * c->D) * sizeof *k);
        memcpy(v + (size_t)h * Nk * c->Dv, c->cache[1].values + (b * c->Hk + h) * cached * c->Dv,
               (size_t)(cached * c->Dv) * sizeof *v);
    }
    project(c, W_Q, c->N, c->M, wq, x, NULL, rows);
    put_heads(q, c->Hq, c->N, c->D, 0, rows, c->N);
    project(c, W_K, c->N, c->M, wk, x, NULL, rows);
    put_heads(k, c->Hk, Nk, c->D, cached, rows, c->N);
    project(c, W_V, c->N, c->M, wv, x, NULL, rows);
    put_heads(v, c->Hk, Nk, c->Dv, cached, rows, c->N);
    ref_attention_naive(&attention, 0, CLATTN_F32, o, NULL, NULL);
    for (int i = 0; i < c->N; i++) /* back to rows of all heads */
        for (int h = 0; h < c->Hq; h++)
            memcpy(rows + ((size_t)i * c->Hq + h) * c->Dv, o + ((size_t)h * c->N + i) * c->Dv,
                   (size_t)c->Dv * sizeof *o);
    project(c, W_O, c->N, wo, c->out, rows, residual, y);
    free(rows), free(q), free(k), free(v);
}

/* One sequence of a tensor of rows_of(), dense; to be freed. */
static float *sequence_of(const layer_case *c, const float *x, int width, int b)
{
    const clattn_tensor t = rows_of(c, x, width, 0, c->N);
    float *out = memory_alloc((size_t)(c->N * width) * sizeof *out);

    for (int n = 0; n < c->N && x; n++)
        memcpy(out + n * width, x + b * t.stride[0] + n * t.stride[1],
               (size_t)width * sizeof *out);
    return out;
}

/* The rule, for each sequence. */
static void check_y(const layer_case *c, const float *y)
{
    const size_t n = (size_t)c->N * (size_t)c->out;
    double *want = memory_alloc(n * sizeof *want);
    float *naive = memory_alloc(n * sizeof *naive);

    for (int b = 0; b < c->B; b++) {
        float *x = sequence_of(c, c->x.values, c->M, b);
        float *residual = sequence_of(c, c->residual.values, c->out, b);
        float *exact = sequence_of(c, c->y.values, c->out, b);
        float *got = sequence_of(c, y, c->out, b);
        for (size_t i = 0; i < n; i++)
            want[i] = (double)exact[i];
        naive_sequence(c, b, x, residual, naive);
        compare_pass("y", got, want, compare_error(naive, want, n), n, CLATTN_F32);
        free(x), free(residual), free(exact), free(got);
    }
    free(want), free(naive);
}

/* ---- tests ---- */

static const char *const layers[] = { "layer_mha", "layer_mha_wide_values" };
static const char *const decodes[] = { "decode_mha", "decode_mqa" };

START_TEST(self_attention)
{
    clattn_ctx *ctx = suite_ctx();
    layer_case c;

    case_open(&c, layers[_i]);
    compare_label("%s", layers[_i]);
    float *y = memory_alloc(c.y.count * sizeof *y);
    const struct clattn_layer_params p = params_of(&c, y, 0, c.N, NULL);
    OK(ctx, clattn_layer(ctx, &p));
    check_y(&c, y);
    free(y);
    case_close(&c);
}
END_TEST

/* A cache that holds what the golden case starts with. */
static clattn_kv *golden_cache(const layer_case *c, int64_t page_rows)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_kv *kv;

    OK(ctx, clattn_kv_create(ctx, clattn_kv_params(
        .sequences = c->B, .heads = c->Hk, .key_width = c->D, .value_width = c->Dv,
        .capacity = 32, .page_rows = page_rows), &kv));
    if (c->cache[0].values)
        OK(ctx, clattn_kv_append(ctx, clattn_kv_append_params(
            .kv = kv,
            .k = clattn_tensor_of_host(c->cache[0].values, CLATTN_F32, 4, c->cache[0].shape),
            .v = clattn_tensor_of_host(c->cache[1].values, CLATTN_F32, 4, c->cache[1].shape))));
    return kv;
}

static void check_cache_out(const layer_case *c, clattn_kv *kv)
{
    for (int i = 0; i < 2; i++) {
        const golden_array *a = &c->cache_out[i];
        const size_t sequence = a->count / (size_t)c->B;
        double *want = memory_alloc(sequence * sizeof *want);
        float *got = memory_alloc(sequence * sizeof *got);
        for (int b = 0; b < c->B; b++) {
            for (size_t j = 0; j < sequence; j++)
                want[j] = (double)a->values[(size_t)b * sequence + j];
            ck_assert_int_eq(clattn_kv_length(kv, b), a->shape[2]);
            OK(suite_ctx(), clattn_kv_read(kv, b, 0, a->shape[2], i ? NULL : got, i ? got : NULL));
            compare_pass(i ? "v_cache_out" : "k_cache_out", got, want, 0, sequence, CLATTN_F32);
        }
        free(want), free(got);
    }
}

/* One token after the other; in pages, without, and all of them at once. */
START_TEST(decode)
{
    clattn_ctx *ctx = suite_ctx();
    layer_case c;

    case_open(&c, decodes[_i % 2]);
    const int at_once = _i / 2 == 2 ? c.N : 1;
    clattn_kv *kv = golden_cache(&c, _i / 2 == 1 ? 16 : 0);
    float *y = memory_alloc(c.y.count * sizeof *y);
    for (int n = 0; n < c.N; n += at_once) {
        const struct clattn_layer_params p = params_of(&c, y, n, at_once, kv);
        OK(ctx, clattn_layer(ctx, &p));
    }
    compare_label("%s, %d at once", decodes[_i % 2], at_once);
    check_y(&c, y);
    check_cache_out(&c, kv);
    free(y);
    clattn_kv_destroy(&kv);
    case_close(&c);
}
END_TEST

/* The layer in its parts, through the cache: projections, append, attention, projection. */
START_TEST(decode_in_parts)
{
    clattn_ctx *ctx = suite_ctx();
    layer_case c;

    case_open(&c, decodes[_i]);
    clattn_kv *kv = golden_cache(&c, 16);
    const int64_t q_shape[] = { c.B, 1, c.Hq, c.D }, k_shape[] = { c.B, 1, c.Hk, c.D };
    const int64_t v_shape[] = { c.B, 1, c.Hk, c.Dv }, o_shape[] = { c.B, 1, c.Hq, c.Dv };
    const int64_t joined[] = { c.B, 1, (int64_t)c.Hq * c.Dv };
    float *y = memory_alloc(c.y.count * sizeof *y), rows[4][512];
    clattn_projection_part q = part_of(&c, W_Q), k = part_of(&c, W_K), v = part_of(&c, W_V),
                           out = part_of(&c, W_O);
    q.y = clattn_tensor_of_host(rows[0], CLATTN_F32, 4, q_shape);
    k.y = clattn_tensor_of_host(rows[1], CLATTN_F32, 4, k_shape);
    v.y = clattn_tensor_of_host(rows[2], CLATTN_F32, 4, v_shape);
    const clattn_tensor o = clattn_tensor_of_host(rows[3], CLATTN_F32, 4, o_shape);
    for (int n = 0; n < c.N; n++) {
        OK(ctx, clattn_projection(ctx, clattn_projection_params(
            .x = rows_of(&c, c.x.values, c.M, n, 1), .parts = { q, k, v })));
        OK(ctx, clattn_kv_append(ctx, clattn_kv_append_params(
            .kv = kv, .k = clattn_tensor_swap(k.y, 1, 2), .v = clattn_tensor_swap(v.y, 1, 2))));
        OK(ctx, clattn_attention(ctx, clattn_attention_params(
            .kv = kv, .q = clattn_tensor_swap(q.y, 1, 2), .o = clattn_tensor_swap(o, 1, 2))));
        out.y = rows_of(&c, y, c.out, n, 1);
        OK(ctx, clattn_projection(ctx, clattn_projection_params(
            .x = clattn_tensor_of_host(rows[3], CLATTN_F32, 3, joined), .parts = { out })));
    }
    compare_label("%s in parts", decodes[_i]);
    check_y(&c, y);
    check_cache_out(&c, kv);
    free(y);
    clattn_kv_destroy(&kv);
    case_close(&c);
}
END_TEST

/* A plan of one step, run for each, is the call: the same bits, the same cache. */
START_TEST(plans)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan;
    layer_case c;

    case_open(&c, _i < 2 ? decodes[_i] : layers[_i - 2]);
    clattn_kv *kv = _i < 2 ? golden_cache(&c, 16) : NULL, *other = kv ? golden_cache(&c, 16) : NULL;
    const int rows = kv ? 1 : c.N;
    float *x = memory_alloc(c.x.count * sizeof *x), *y = memory_alloc(c.y.count * sizeof *y);
    float *again = memory_alloc(c.y.count * sizeof *again);
    const clattn_tensor first = rows_of(&c, x, c.M, 0, rows);
    struct clattn_layer_params p = params_of(&c, again, 0, rows, kv);
    p.x = first;
    OK(ctx, clattn_plan_layer(ctx, &p, &plan));
    for (int n = 0; n < c.N; n += rows) {
        const struct clattn_layer_params call = params_of(&c, y, n, rows, other);
        OK(ctx, clattn_layer(ctx, &call));
        memcpy(x, c.x.values + (size_t)n * c.B * c.M,
               (size_t)rows * c.B * c.M * sizeof *x); /* a step is dense, and so are all rows */
        OK(ctx, clattn_plan_run(plan));
        const size_t width = (size_t)rows * c.B * c.out;
        ck_assert_msg(memcmp(again, y + (size_t)n * c.B * c.out, width * sizeof *y) == 0,
                      "%s: row %d differs between plan and call", c.files.name, n);
    }
    compare_label("%s, plan", c.files.name);
    check_y(&c, y);
    if (kv)
        check_cache_out(&c, kv);
    clattn_plan_destroy(&plan);
    clattn_kv_destroy(&kv);
    clattn_kv_destroy(&other);
    free(x), free(y), free(again);
    case_close(&c);
}
END_TEST

/*
 * A projection that goes into the cache is one whose k and v are appended: rotary of k and q
 * included, which turns by the rows that were there before.
 */
START_TEST(projection_into_a_cache)
{
    enum { B = 2, N = 3, M = 24, Hq = 4, H = 2, D = 8, Dv = 6, BEFORE = 21 };
    static const int64_t xs[] = { B, N, M }, qs[] = { B, N, Hq, D }, ks[] = { B, N, H, D };
    static const int64_t vs[] = { B, N, H, Dv }, wq[] = { Hq, D, M }, wk[] = { H, D, M };
    static const int64_t wv[] = { H, Dv, M };
    const clattn_rotary rotary = _i % 2 ? CLATTN_ROTARY_NEOX : CLATTN_ROTARY_GPTJ;
    float x[B * N * M], w[Hq * D * M], q[2][B * N * Hq * D], k[B * N * H * D], v[B * N * H * Dv];
    float rows[2][2][(BEFORE + N) * H * D];
    clattn_ctx *ctx = suite_ctx();
    kv_model m[2];

    for (int i = 0; i < 2; i++) {
        test_rng rng = { suite_seed() };
        kv_model_make(&m[i], ctx, clattn_kv_params(.sequences = B + 1, .heads = H, .key_width = D,
                                                   .value_width = Dv, .capacity = 40,
                                                   .page_rows = _i / 2 ? 16 : 0));
        kv_model_fill(&m[i], 1, B, BEFORE, CLATTN_F32, &rng);
        for (int j = 0; j < Hq * D * M; j++)
            w[j] = (float)rng_normal(&rng);
        for (int j = 0; j < B * N * M; j++)
            x[j] = (float)rng_normal(&rng);
        const clattn_projection_part parts[] = {
            { .w = clattn_tensor_of_host(w, CLATTN_F32, 3, wq), .rotary = rotary,
              .y = clattn_tensor_of_host(q[i], CLATTN_F32, 4, qs) },
            { .w = clattn_tensor_of_host(w, CLATTN_F32, 3, wk), .rotary = rotary },
            { .w = clattn_tensor_of_host(w + M, CLATTN_F32, 3, wv) } };
        struct clattn_projection_params p = *clattn_projection_params(
            .x = clattn_tensor_of_host(x, CLATTN_F32, 3, xs),
            .parts = { parts[0], parts[1], parts[2] });
        if (i == 0) {
            p.kv = m[i].kv;
            p.kv_sequence = 1;
            p.parts[1].into = CLATTN_KV_KEYS;
            p.parts[2].into = CLATTN_KV_VALUES;
            OK(ctx, clattn_projection(ctx, &p));
        } else {
            p.start = BEFORE;
            p.parts[1].y = clattn_tensor_of_host(k, CLATTN_F32, 4, ks);
            p.parts[2].y = clattn_tensor_of_host(v, CLATTN_F32, 4, vs);
            OK(ctx, clattn_projection(ctx, &p));
            OK(ctx, clattn_kv_append(ctx, clattn_kv_append_params(
                .kv = m[i].kv, .sequence = 1, .k = clattn_tensor_swap(p.parts[1].y, 1, 2),
                .v = clattn_tensor_swap(p.parts[2].y, 1, 2))));
        }
    }
    ck_assert_int_eq(memcmp(q[0], q[1], sizeof q[0]), 0);
    for (int b = 1; b <= B; b++) {
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(clattn_kv_length(m[i].kv, b), BEFORE + N);
            OK(ctx, clattn_kv_read(m[i].kv, b, 0, BEFORE + N, rows[i][0], rows[i][1]));
        }
        ck_assert_int_eq(memcmp(rows[0][0], rows[1][0], sizeof(float) * (BEFORE + N) * H * D), 0);
        ck_assert_int_eq(memcmp(rows[0][1], rows[1][1], sizeof(float) * (BEFORE + N) * H * Dv), 0);
    }
    for (int i = 0; i < 2; i++)
        kv_model_free(&m[i]);
}
END_TEST

/* A failure in any step leaves the cache as it was, rows that a window may drop included. */
START_TEST(failure_leaves_the_cache)
{
    enum { B = 2, N = 12, M = 16, H = 2, D = 8 };
    clattn_ctx *ctx = suite_ctx();
    test_rng rng = { suite_seed() };
    static float x[B * N * M], w[H * D * M], y[B * N * M];
    static const int64_t xs[] = { B, N, M }, ws[] = { H, D, M }, os[] = { M, H * D };
    static const uint8_t mask[1];
    static const int32_t starts[B];
    static const int64_t bad_mask[] = { 1, 1, 1, 3 };
    const clattn_projection_part part = { .w = clattn_tensor_of_host(w, CLATTN_F32, 3, ws) };
    struct clattn_layer_params p;
    kv_model m;

    kv_model_make(&m, ctx, clattn_kv_params(.sequences = 3, .heads = H, .key_width = D,
                                            .capacity = 64, .page_rows = 16, .window = 40,
                                            .dtype = _i ? CLATTN_I8 : CLATTN_F32));
    kv_model_fill(&m, 0, 3, 30, CLATTN_F32, &rng);
    kv_model_fill(&m, 1, 2, 26, CLATTN_F32, &rng); /* 56 rows: the next 12 move the window */
    const struct clattn_layer_params good = *clattn_layer_params(
        .x = clattn_tensor_of_host(x, CLATTN_F32, 3, xs), .q = part, .k = part, .v = part,
        .out = { .w = clattn_tensor_of_host(w, CLATTN_F32, 2, os),
                 .y = clattn_tensor_of_host(y, CLATTN_F32, 3, xs) },
        .kv = m.kv, .kv_sequence = 1);
#define BAD(status, words, ...)                                         \
    do {                                                                \
        p = good;                                                       \
        __VA_ARGS__;                                                    \
        FAILS(ctx, status, words, clattn_layer(ctx, &p));               \
        compare_label("after \"%s\"", words);                           \
        kv_model_check(&m);                                             \
    } while (0)
    BAD(ERR_SHAPE, "mask", p.attention.mask = clattn_tensor_of_host(mask, CLATTN_U8, 4, bad_mask));
    BAD(ERR_ARG, "kernel", p.attention.kernel = "no_such_kernel");
    BAD(ERR_ARG, "softcap", p.attention.softcap = -1);
    BAD(ERR_SHAPE, "5 columns", p.out.w = clattn_tensor_slice(p.out.w, 1, 0, 5));
    BAD(ERR_ARG, "y is missing", p.out.y = (clattn_tensor){ 0 });
    BAD(ERR_ARG, "sequences from 2 on", p.kv_sequence = 2);
    BAD(ERR_ARG, "start", p.start = 3);
    BAD(ERR_ARG, "y of q, k or v", p.q.y = p.x);
    BAD(ERR_SHAPE, "k", p.k.w = clattn_tensor_slice(p.k.w, 1, 0, 4));
    BAD(ERR_SHAPE, "q.w has 4611686018427387904 heads of 8",
        p.q.w.shape[0] = (int64_t)1 << 62);
    BAD(ERR_SHAPE, "v.w has 2 heads of -1", p.v.w.shape[1] = -1);
    BAD(ERR_SHAPE, "2 batches of 536870911 rows", p.x.shape[1] = (1 << 29) - 1);
    BAD(ERR_SHAPE, "536870912 batches of 12 rows", p.x.shape[0] = 1 << 29);
    BAD(ERR_SHAPE, "-1 batches", p.x.shape[0] = -1);
    BAD(ERR_SHAPE, "-1 rows", p.x.shape[1] = -1);
    BAD(ERR_SHAPE, "x has 2 axes", p.x.rank = 2);
    BAD(ERR_SHAPE, "q.w has 4 axes", p.q.w.rank = 4);
    BAD(ERR_SHAPE, "q.w is [out][M] and the number of its heads is 0", p.q.w.rank = 2);
    BAD(ERR_SHAPE, "q.w has 16 outputs, 3 heads do not divide them", p.heads = 3,
        p.q.w = clattn_tensor_of_host(w, CLATTN_F32, 2, os));
    BAD(ERR_SHAPE, "q.w has 2 heads, heads or kv_heads says 3", p.heads = 3);
    BAD(ERR_SHAPE, "k 2 heads of 8, v 1 heads", p.v.w = clattn_tensor_slice(p.v.w, 0, 0, 1));
    BAD(ERR_ARG, "x has dtype i8, needs f32, f16 or bf16", p.x.dtype = CLATTN_I8);
    BAD(ERR_ARG, "start or starts is given",
        p.starts = clattn_tensor_of_host(starts, CLATTN_I32, 1, xs));
    FAILS(ctx, ERR_ARG, "out is NULL", clattn_plan_layer(ctx, &good, NULL));
    p = good;
    p.x = clattn_tensor_slice(p.x, 0, 0, 0);
    OK(ctx, clattn_layer(ctx, &p));
    kv_model_check(&m);
    OK(ctx, clattn_layer(ctx, &good));
    ck_assert_int_eq(clattn_kv_length(m.kv, 1), 56 + N);
    kv_model_free(&m);
}
END_TEST

/* A cache takes one part as its keys and one as its values, as wide as it is, and nothing else. */
START_TEST(refused_parts)
{
    enum { B = 2, N = 3, M = 16, H = 2, D = 8, Dv = 6 };
    static const clattn_dtype dtypes[] = { CLATTN_F32, CLATTN_I8, CLATTN_I4 };
    static const int64_t xs[] = { B, N, M }, ys[] = { B, N, H, D };
    static const int64_t ks[] = { H, D, M }, vs[] = { H, Dv, M };
    static const int32_t starts[B];
    static float x[B * N * M], w[H * D * M], y[B * N * H * D];
    clattn_ctx *ctx = suite_ctx();
    clattn_kv *kv[3];
    struct clattn_projection_params p;

    for (int i = 0; i < 3; i++)
        OK(ctx, clattn_kv_create(ctx, clattn_kv_params(.sequences = B, .heads = H, .key_width = D,
                                                       .value_width = Dv, .capacity = 20,
                                                       .dtype = dtypes[i]), &kv[i]));
    const clattn_tensor keys = clattn_tensor_of_host(w, CLATTN_F32, 3, ks);
    const clattn_tensor values = clattn_tensor_of_host(w, CLATTN_F32, 3, vs);
    const struct clattn_projection_params good = *clattn_projection_params(
        .x = clattn_tensor_of_host(x, CLATTN_F32, 3, xs), .kv = kv[0],
        .parts = { { .w = keys, .y = clattn_tensor_of_host(y, CLATTN_F32, 4, ys) },
                   { .w = keys, .into = CLATTN_KV_KEYS },
                   { .w = values, .into = CLATTN_KV_VALUES } });
#define REFUSED(status, words, ...)                                \
    do {                                                           \
        p = good;                                                  \
        __VA_ARGS__;                                               \
        FAILS(ctx, status, words, clattn_projection(ctx, &p));     \
    } while (0)
    REFUSED(ERR_UNSUPPORTED, "the cache is i8|kv_append", p.kv = kv[1]);
    REFUSED(ERR_UNSUPPORTED, "the cache is i4|kv_append", p.kv = kv[2]);
    REFUSED(ERR_ARG, "parts[1] goes into the cache and has y", p.parts[1].y = p.parts[0].y);
    REFUSED(ERR_ARG, "parts[2]|has y or residual", p.parts[2].residual = p.parts[0].y);
    REFUSED(ERR_SHAPE, "parts[1].w has 1 heads of 8, the cache has 2 of 8",
            p.parts[1].w = clattn_tensor_slice(keys, 0, 0, 1));
    REFUSED(ERR_SHAPE, "parts[2].w has 2 heads of 8, the cache has 2 of 6", p.parts[2].w = keys);
    REFUSED(ERR_ARG, "parts[0].into is 3", p.parts[0].into = (clattn_kv_part)3);
    REFUSED(ERR_ARG, "kv is given, 0 parts go into its keys and 1",
            p.parts[1].into = CLATTN_KV_NONE);
    REFUSED(ERR_ARG, "kv is given, 1 parts go into its keys and 0",
            p.parts[2].into = CLATTN_KV_NONE);
    REFUSED(ERR_ARG, "kv is NULL, 1 parts go into its keys and 1", p.kv = NULL);
    REFUSED(ERR_ARG, "start or starts is given", p.start = 1);
    REFUSED(ERR_ARG, "start or starts is given",
            p.starts = clattn_tensor_of_host(starts, CLATTN_I32, 1, xs));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(clattn_kv_length(kv[i], 0), 0);
    OK(ctx, clattn_projection(ctx, &good));
    ck_assert_int_eq(clattn_kv_length(kv[0], 1), N);
    for (int i = 0; i < 3; i++)
        clattn_kv_destroy(&kv[i]);
}
END_TEST

/* ---- dtypes ---- */

enum { SB = 2, SN = 9, SM = 48, SHQ = 4, SHK = 2, SD = 16, SDV = 24, SOUT = 40 };

/* Tensors of a layer of 16-bit numbers, on the device. */
typedef struct half_layer {
    clattn_dtype dtype;
    test_memory x, w[NUM_WEIGHTS], bias, residual;
    test_memory q, k, v, o, y, y_of_calls; /* [B][N][H][D], y [B][N][out] */
} half_layer;

static void make_input(test_memory *m, test_rng *rng, clattn_dtype dtype, int rank,
                       const int64_t *shape)
{
    float values[SB * SN * SM + SHQ * SDV * SM];
    int64_t count = 1;

    for (int i = 0; i < rank; i++)
        count *= shape[i];
    ck_assert_int_le(count, (int64_t)(sizeof values / sizeof *values));
    for (int64_t i = 0; i < count; i++)
        values[i] = 0.3f * (float)rng_normal(rng);
    memory_make(m, suite_ctx(), false, dtype, rank, shape, NULL);
    memory_put(m, values);
}

static void half_open(half_layer *h, clattn_dtype dtype)
{
    clattn_ctx *ctx = suite_ctx();
    test_rng rng = { suite_seed() };
    const clattn_dtype t = h->dtype = dtype;

    make_input(&h->x, &rng, t, 3, (int64_t[]){ SB, SN, SM });
    make_input(&h->w[W_Q], &rng, t, 3, (int64_t[]){ SHQ, SD, SM });
    make_input(&h->w[W_K], &rng, t, 3, (int64_t[]){ SHK, SD, SM });
    make_input(&h->w[W_V], &rng, t, 3, (int64_t[]){ SHK, SDV, SM });
    make_input(&h->w[W_O], &rng, t, 2, (int64_t[]){ SOUT, SHQ * SDV });
    make_input(&h->bias, &rng, CLATTN_F32, 1, (int64_t[]){ SOUT });
    make_input(&h->residual, &rng, t, 3, (int64_t[]){ SB, SN, SOUT });
    memory_make(&h->q, ctx, true, t, 4, (int64_t[]){ SB, SN, SHQ, SD }, NULL);
    memory_make(&h->k, ctx, true, t, 4, (int64_t[]){ SB, SN, SHK, SD }, NULL);
    memory_make(&h->v, ctx, true, t, 4, (int64_t[]){ SB, SN, SHK, SDV }, NULL);
    memory_make(&h->o, ctx, true, t, 4, (int64_t[]){ SB, SN, SHQ, SDV }, NULL);
    memory_make(&h->y, ctx, true, t, 3, (int64_t[]){ SB, SN, SOUT }, NULL);
    memory_make(&h->y_of_calls, ctx, true, t, 3, (int64_t[]){ SB, SN, SOUT }, NULL);
}

static void half_close(half_layer *h)
{
    test_memory *const all[] = { &h->x, &h->w[W_Q], &h->w[W_K], &h->w[W_V], &h->w[W_O], &h->bias,
                                 &h->residual, &h->q, &h->k, &h->v, &h->o, &h->y, &h->y_of_calls };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        memory_free(all[i]);
}

static clattn_projection_part half_part(half_layer *h, int which, test_memory *y)
{
    return (clattn_projection_part){
        .w = h->w[which].tensor,
        .y = y ? y->tensor : (clattn_tensor){ 0 },
        .rotary = which == W_Q || which == W_K ? CLATTN_ROTARY_NEOX : CLATTN_ROTARY_NONE,
    };
}

/* The whole of y by the layer, through the cache if there is one. */
static void half_by_layer(half_layer *h, clattn_kv *kv)
{
    struct clattn_layer_params p = *clattn_layer_params(
        .x = h->x.tensor, .q = half_part(h, W_Q, NULL), .k = half_part(h, W_K, NULL),
        .v = half_part(h, W_V, NULL), .out = half_part(h, W_O, &h->y), .kv = kv);

    p.out.bias = h->bias.tensor;
    p.out.residual = h->residual.tensor;
    p.attention.causal = CLATTN_CAUSAL_BOTTOM_RIGHT;
    OK(suite_ctx(), clattn_layer(suite_ctx(), &p));
}

/* The same by its calls: intermediate results are rounded to the dtype, here as there. */
static void half_by_calls(half_layer *h)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_projection_part out = half_part(h, W_O, &h->y_of_calls);
    clattn_tensor joined =
        clattn_tensor_of_buffer(h->o.tensor.buffer, h->dtype, 3, (int64_t[]){ SB, SN, SHQ * SDV });

    joined.offset = h->o.tensor.offset;
    out.bias = h->bias.tensor;
    out.residual = h->residual.tensor;
    OK(ctx, clattn_projection(ctx, clattn_projection_params(
        .x = h->x.tensor, .parts = { half_part(h, W_Q, &h->q), half_part(h, W_K, &h->k),
                                     half_part(h, W_V, &h->v) })));
    OK(ctx, clattn_attention(ctx, clattn_attention_params(
        .q = clattn_tensor_swap(h->q.tensor, 1, 2), .k = clattn_tensor_swap(h->k.tensor, 1, 2),
        .v = clattn_tensor_swap(h->v.tensor, 1, 2), .o = clattn_tensor_swap(h->o.tensor, 1, 2),
        .causal = CLATTN_CAUSAL_BOTTOM_RIGHT)));
    OK(ctx, clattn_projection(ctx, clattn_projection_params(.x = joined, .parts = { out })));
}

/* f16 and bf16, without a cache and with one: the layer is its calls, but for their rounding. */
START_TEST(sixteen_bits)
{
    const bool with_cache = _i / 2;
    const clattn_dtype dtype = (_i + with_cache) % 2 ? CLATTN_BF16 : CLATTN_F16;
    clattn_ctx *ctx = suite_ctx();
    float got[SB * SN * SOUT], want[SB * SN * SOUT];
    clattn_kv *kv = NULL;
    half_layer h;

    half_open(&h, dtype);
    if (with_cache)
        OK(ctx, clattn_kv_create(ctx, clattn_kv_params(
            .sequences = SB, .heads = SHK, .key_width = SD, .value_width = SDV, .capacity = 16,
            .dtype = dtype, .page_rows = 16), &kv));
    half_by_layer(&h, kv);
    half_by_calls(&h);
    memory_get(&h.y, "y", got);
    memory_get(&h.y_of_calls, "y", want);
    for (int i = 0; i < SB * SN * SOUT; i++)
        ck_assert_msg(fabs((double)got[i] - (double)want[i])
                          <= 4 * storage_ulp(dtype, fmax(1, fabs((double)want[i]))),
                      "%s: y[%d] is %g by the layer, %g by its calls", clattn_dtype_name(dtype), i,
                      (double)got[i], (double)want[i]);
    clattn_kv_destroy(&kv);
    half_close(&h);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("layer");
    TCase *t = tcase_create("layer");

    tcase_add_loop_test(t, self_attention, 0, 2);
    tcase_add_loop_test(t, decode, 0, 6);
    tcase_add_loop_test(t, decode_in_parts, 0, 2);
    tcase_add_loop_test(t, plans, 0, 4);
    tcase_add_loop_test(t, projection_into_a_cache, 0, 4);
    tcase_add_loop_test(t, failure_leaves_the_cache, 0, 2);
    tcase_add_test(t, refused_parts);
    /* Where each is built for, f16 without a cache and bf16 with one. */
    for (int i = 0; i < 4; i += suite_is_native() ? 1 : 2)
        tcase_add_loop_test(t, sixteen_bits, i, i + 1);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
