/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax attention and merge through the public API: what the golden cases do not reach. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention_case.h"
#include "compare.h"
#include "storage.h"
#include "suite.h"

/* Everything at once, so that a combination of options is seen as well as each of them. */
static const attn_spec combined[] = {
    { .name = "all options", .B = 2, .Hq = 4, .Hk = 2, .Nq = 19, .Nk = 45, .D = 20, .Dv = 12,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .window = true, .left = 30, .right = -1,
      .softcap = 15, .scale = 0.4f, .alibi = true, .sinks = true, .mask = true, .bias = true,
      .lse = true, .poison_hidden = true, .layout = LAYOUT_PADDED },
    { .name = "broadcast rows", .B = 2, .Hq = 4, .Hk = 4, .Nq = 9, .Nk = 33, .D = 16, .Dv = 16,
      .mask = true, .mask_repeat = REPEAT_N | REPEAT_H, .bias = true,
      .bias_repeat = REPEAT_B | REPEAT_N, .bias_type = CLATTN_BF16, .lse = true,
      .poison_hidden = true, .layout = LAYOUT_BNHD },
    { .name = "broadcast keys", .B = 2, .Hq = 2, .Hk = 1, .Nq = 21, .Nk = 17, .D = 16, .Dv = 16,
      .in = CLATTN_F16, .mask = true, .mask_repeat = REPEAT_B | REPEAT_K, .bias = true,
      .bias_repeat = REPEAT_H | REPEAT_K, .bias_type = CLATTN_F16, .lse = true },
    { .name = "top left", .B = 1, .Hq = 2, .Hk = 2, .Nq = 13, .Nk = 40, .D = 16, .Dv = 16,
      .in = CLATTN_BF16, .out = CLATTN_F32, .causal = CLATTN_CAUSAL_TOP_LEFT, .lse = true,
      .poison_hidden = true },
    { .name = "negative scale", .B = 1, .Hq = 2, .Hk = 1, .Nq = 21, .Nk = 50, .D = 16, .Dv = 16,
      .scale = -0.5f, .lse = true },
    { .name = "negative scale, one row", .B = 1, .Hq = 2, .Hk = 1, .Nq = 1, .Nk = 50, .D = 16,
      .Dv = 16, .scale = -0.5f, .lse = true, .bias = true, .softcap = 3 },
    { .name = "bias of -inf", .B = 2, .Hq = 2, .Hk = 2, .Nq = 21, .Nk = 50, .D = 16, .Dv = 16,
      .bias = true, .bias_hides = true, .bias_repeat = REPEAT_B | REPEAT_H, .lse = true },
    { .name = "bias of -inf, one row, sinks", .B = 5, .Hq = 2, .Hk = 1, .Nq = 1, .Nk = 50, .D = 16,
      .Dv = 16, .bias = true, .bias_hides = true, .bias_type = CLATTN_F16, .sinks = true,
      .lse = true },
    { .name = "window beyond the ends", .B = 1, .Hq = 2, .Hk = 2, .Nq = 40, .Nk = 13, .D = 16,
      .Dv = 16, .window = true, .left = 3, .right = 100000, .lse = true, .poison_hidden = true },
    { .name = "window of the past", .B = 1, .Hq = 1, .Hk = 1, .Nq = 33, .Nk = 33, .D = 16,
      .Dv = 16, .window = true, .left = -1, .right = 0, .causal = CLATTN_CAUSAL_TOP_LEFT,
      .sinks = true },
    { .name = "decode", .B = 3, .Hq = 8, .Hk = 2, .Nq = 1, .Nk = 1031, .D = 64, .Dv = 64,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .lse = true, .layout = LAYOUT_BNHD },
    { .name = "decode, parts that see nothing, low scores", .B = 1, .Hq = 4, .Hk = 1, .Nq = 1,
      .Nk = 2500, .D = 16, .Dv = 16, .window = true, .left = 600, .right = -1, .bias = true,
      .bias_mean = -400, .lse = true, .poison_hidden = true },
    { .name = "decode f16", .B = 1, .Hq = 8, .Hk = 1, .Nq = 2, .Nk = 2500, .D = 64, .Dv = 64,
      .in = CLATTN_F16, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .window = true, .left = 2000,
      .right = -1, .lse = true, .poison_hidden = true },
};

static const int ragged_q[] = { 5, 0, 17, 1, 9 }, ragged_k[] = { 40, 12, 3, 0, 9 };
static const attn_spec ragged[] = {
    { .name = "ragged", .B = 5, .Hq = 4, .Hk = 2, .D = 16, .Dv = 24, .lens_q = ragged_q,
      .lens_k = ragged_k, .lse = true },
    { .name = "ragged causal, padded", .B = 5, .Hq = 4, .Hk = 4, .D = 16, .Dv = 16,
      .lens_q = ragged_q, .lens_k = ragged_k, .lse = true, .sinks = true,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .poison_hidden = true, .layout = LAYOUT_PADDED },
    { .name = "ragged with everything", .B = 5, .Hq = 2, .Hk = 1, .D = 16, .Dv = 16,
      .in = CLATTN_BF16, .lens_q = ragged_q, .lens_k = ragged_k, .lse = true, .mask = true,
      .bias = true, .alibi = true, .window = true, .left = 8, .right = 2, .softcap = 30,
      .poison_hidden = true },
};

static const attn_spec probs[] = {
    { .name = "probs", .B = 2, .Hq = 4, .Hk = 2, .Nq = 19, .Nk = 45, .D = 16, .Dv = 16,
      .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .probs = true },
    { .name = "probs, padded", .B = 2, .Hq = 4, .Hk = 2, .Nq = 19, .Nk = 45, .D = 16, .Dv = 16,
      .window = true, .left = 9, .right = 3, .probs = true, .bias = true,
      .layout = LAYOUT_PADDED },
    { .name = "probs of some", .B = 2, .Hq = 4, .Hk = 2, .Nq = 19, .Nk = 45, .D = 16, .Dv = 16,
      .probs = true, .lse = true, .probs_head = 1, .probs_heads = 2, .probs_row = 7,
      .probs_rows = 11, .mask = true, .sinks = true, .softcap = 5, .in = CLATTN_F16 },
    { .name = "probs, ragged", .B = 5, .Hq = 2, .Hk = 1, .D = 16, .Dv = 16, .lens_q = ragged_q,
      .lens_k = ragged_k, .probs = true, .bias = true, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { .name = "probs of a wide spread", .B = 1, .Hq = 8, .Hk = 2, .Nq = 90, .Nk = 300, .D = 64,
      .Dv = 16, .spread = 1000, .probs = true },
};

static void check(const attn_spec *spec, bool host)
{
    attn_data *data = attn_data_make(spec, suite_seed());

    compare_label("%s%s", spec->name, host ? ", host" : "");
    attn_check(suite_ctx(), host, data, NULL);
    attn_data_free(data);
}

START_TEST(options)
{
    check(&combined[_i], false);
}
END_TEST

START_TEST(options_on_host)
{
    check(&combined[_i], true);
}
END_TEST

START_TEST(ragged_batches)
{
    check(&ragged[_i], false);
    check(&ragged[_i], true);
}
END_TEST

START_TEST(probabilities)
{
    check(&probs[_i], false);
    check(&probs[_i], true);
}
END_TEST

/* One spread after the other, and values that are hard on the running maximum. */
START_TEST(value_regimes)
{
    static const struct {
        test_regime regime;
        float spread;
    } regimes[] = {
        { REGIME_NORMAL, 1 }, { REGIME_NORMAL, 30 },  { REGIME_NORMAL, 1000 },
        { REGIME_EQUAL, 1 },  { REGIME_ONE_HUGE, 3 }, { REGIME_RISING, 10 },
        { REGIME_RISING, 300 }, { REGIME_TINY, 1 },
    };
    static const clattn_dtype dtypes[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16 };

    for (int i = 0; i < 3; i++) {
        /* Many rows: where scores are large, the error is that of the few rows with a near tie. */
        attn_spec spec = { .B = 1, .Hq = 8, .Hk = 2, .Nq = 150, .Nk = 211, .D = 64, .Dv = 64,
                           .in = dtypes[i], .lse = true };
        spec.regime = regimes[_i].regime;
        spec.spread = regimes[_i].spread;
        attn_data *data = attn_data_make(&spec, suite_seed());
        compare_label("regime %d, spread %g, %s", (int)spec.regime, (double)spec.spread,
                      clattn_dtype_name(spec.in));
        attn_check(suite_ctx(), false, data, NULL);
        attn_data_free(data);
    }
}
END_TEST

/* q, k and v interleaved in one buffer, [B][N][3][H][D]; o beside them in the same buffer. */
START_TEST(packed_qkv)
{
    enum { B = 2, N = 23, H = 3, D = 16, ROW = 4 * H * D };
    const attn_spec spec = { .B = B, .Hq = H, .Hk = H, .Nq = N, .Nk = N, .D = D, .Dv = D };
    attn_data *data = attn_data_make(&spec, suite_seed());
    clattn_ctx *ctx = suite_ctx();
    const size_t count = (size_t)B * N * ROW;
    float *packed = memory_alloc(count * sizeof *packed), got[B * H * N * D];
    const float *parts[] = { data->q, data->k, data->v };
    clattn_buffer *buffer;
    clattn_tensor t[4];

    for (int part = 0; part < 4; part++) {
        clattn_tensor row = { .dtype = CLATTN_F32, .rank = 4, .offset = part * H * D,
                              .shape = { B, H, N, D }, .stride = { N * ROW, D, ROW, 1 } };
        t[part] = row;
        for (int64_t i = 0; i < B * H * N * D && part < 3; i++)
            packed[row.offset + i / (H * N * D) * N * ROW + i / (N * D) % H * D + i / D % N * ROW
                   + i % D] = parts[part][i];
    }
    OK(ctx, clattn_buffer_create(ctx, count * sizeof *packed, &buffer));
    OK(ctx, clattn_buffer_write(buffer, 0, packed, count * sizeof *packed));
    for (int part = 0; part < 4; part++)
        t[part].buffer = buffer;
    OK(ctx, clattn_attention(ctx, clattn_attention_params(.q = t[0], .k = t[1], .v = t[2],
                                                          .o = t[3])));
    OK(ctx, clattn_buffer_read(buffer, 0, packed, count * sizeof *packed));
    for (int64_t i = 0; i < B * H * N * D; i++)
        got[i] = packed[t[3].offset + i / (H * N * D) * N * ROW + i / (N * D) % H * D
                        + i / D % N * ROW + i % D];
    compare_label("packed qkv");
    compare_pass("o", got, data->o, data->naive_o, data->count_o, CLATTN_F32);
    clattn_buffer_destroy(&buffer);
    free(packed);
    attn_data_free(data);
}
END_TEST

/* Strides and broadcasts made with the helpers of the API. */
START_TEST(helpers_of_tensors)
{
    enum { N = 7, H = 2, D = 4 };
    const attn_spec spec = { .B = 1, .Hq = H, .Hk = H, .Nq = N, .Nk = N, .D = D, .Dv = D };
    attn_data *data = attn_data_make(&spec, suite_seed());
    static const int64_t bnhd[] = { 1, N, H, D }, one_row[] = { 1, 1, 1, N };
    float q[N * H * D], o[N * H * D], got[N * H * D], bias[N];
    clattn_ctx *ctx = suite_ctx();

    for (int i = 0; i < N * H * D; i++)
        q[(i / D % N * H + i / (D * N)) * D + i % D] = data->q[i];
    for (int i = 0; i < N; i++)
        bias[i] = 3; /* the same for all keys: changes nothing */
    const clattn_tensor v = clattn_tensor_of_host(data->v, CLATTN_F32, 4,
                                                  (int64_t[]){ 1, H, N, D });
    const clattn_tensor k = clattn_tensor_of_host(data->k, CLATTN_F32, 4, v.shape);
    const clattn_tensor row = clattn_tensor_of_host(bias, CLATTN_F32, 4, one_row);
    OK(ctx, clattn_attention(ctx, clattn_attention_params(
        .q = clattn_tensor_swap(clattn_tensor_of_host(q, CLATTN_F32, 4, bnhd), 1, 2), .k = k,
        .v = v, .o = clattn_tensor_swap(clattn_tensor_of_host(o, CLATTN_F32, 4, bnhd), 1, 2),
        .bias = clattn_tensor_repeat(clattn_tensor_repeat(row, 1, H), 2, N))));
    for (int i = 0; i < N * H * D; i++)
        got[i] = o[(i / D % N * H + i / (D * N)) * D + i % D];
    compare_label("helpers");
    compare_pass("o", got, data->o, data->naive_o, data->count_o, CLATTN_F32);
    attn_data_free(data);
}
END_TEST

/* B, Hq, Nq, Nk or all of them 0. */
START_TEST(empty_sizes)
{
    attn_spec spec = { .B = 2, .Hq = 4, .Hk = 2, .Nq = 5, .Nk = 6, .D = 8, .Dv = 8, .lse = true };

    spec.probs = (_i & 16) != 0;
    attn_check_empty(spec, _i);
}
END_TEST

/* No key with a sink: o = 0, lse = sink. */
START_TEST(no_keys_but_sinks)
{
    const attn_spec spec = { .name = "sinks alone", .B = 2, .Hq = 4, .Hk = 2, .Nq = 5, .Nk = 0,
                             .D = 8, .Dv = 8, .lse = true, .sinks = true };
    check(&spec, _i);
}
END_TEST

/* Which rows of o may be NaN, and that all others have the bits of a run without the NaN. */
static void check_planted(const attn_data *data, const float *clean, const float *dirty,
                          int (*hit)(int row))
{
    const int Dv = data->spec.Dv;
    for (int row = 0; row < (int)data->count_lse; row++) {
        const int wanted = hit(row);
        bool any = false;
        for (int d = 0; d < Dv; d++) {
            any = any || isnan(dirty[row * Dv + d]);
            ck_assert_msg(wanted || memcmp(&clean[row * Dv + d], &dirty[row * Dv + d], 4) == 0,
                          "%s: row %d changed", compare_label_text(), row);
        }
        ck_assert_msg(any == (wanted != 0), "%s: row %d %s NaN", compare_label_text(), row,
                      any ? "is" : "is not");
    }
}

enum { PLANT_N = 40, PLANT_KEY = 21 }; /* causal, one head: rows from PLANT_KEY on see it */

static int sees_key(int row)
{
    return row % PLANT_N >= PLANT_KEY && row < PLANT_N;
}

static int is_that_row(int row)
{
    return row == PLANT_KEY;
}

static int is_none(int row)
{
    (void)row;
    return 0;
}

/* One NaN in q, k or v of the first of two heads; with the last, in a key that a mask hides. */
START_TEST(one_nan)
{
    attn_spec spec = { .B = 1, .Hq = 2, .Hk = 2, .Nq = PLANT_N, .Nk = PLANT_N, .D = 16, .Dv = 16,
                       .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .lse = true };
    static int (*const hits[])(int) = { is_that_row, sees_key, sees_key, is_none, is_none };
    static const char *const labels[] = { "NaN in q", "NaN in k", "NaN in v", "NaN in masked k",
                                          "NaN in masked v" };
    clattn_ctx *ctx = suite_ctx();

    spec.mask = _i >= 3;
    spec.mask_repeat = REPEAT_H | REPEAT_N;
    attn_data *data = attn_data_make(&spec, suite_seed());
    if (data->mask)
        data->mask[PLANT_KEY] = 0;
    attn_run run;
    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_attention(ctx, &run.params));
    float *clean = attn_run_output(&run);

    float *plant = _i == 0 ? data->q : _i % 2 ? data->k : data->v;
    test_memory *memory = _i == 0 ? &run.q : _i % 2 ? &run.k : &run.v;
    plant[PLANT_KEY * 16 + 3] = NAN;
    memory_put(memory, plant);
    attn_run_poison(&run);
    OK(ctx, clattn_attention(ctx, &run.params));
    float *dirty = attn_run_output(&run);
    compare_label("%s", labels[_i]);
    check_planted(data, clean, dirty, hits[_i]);

    free(clean), free(dirty);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* Infinities among the inputs, seen by some rows: what arithmetic makes of them, no more. */
START_TEST(infinities)
{
    const attn_spec spec = { .name = "infinities", .B = 1, .Hq = 1, .Hk = 1, .Nq = _i < 3 ? 30 : 1,
                             .Nk = 30, .D = 16, .Dv = 16, .regime = REGIME_EQUAL,
                             .causal = _i < 3 ? CLATTN_CAUSAL_TOP_LEFT : CLATTN_CAUSAL_NONE };
    attn_data *data = attn_data_make(&spec, suite_seed());

    if (_i % 3 == 0)
        data->v[9 * 16 + 3] = INFINITY;
    if (_i % 3 == 1)
        data->k[9 * 16 + 3] = INFINITY; /* +inf or -inf, by the sign of q */
    if (_i % 3 == 2)
        for (int i = 0; i < 30 * 16; i++)
            data->k[i] = -INFINITY; /* NaN, or all keys -inf */
    ref_attention(&data->ref, data->o, data->lse, NULL);
    attn_data_naive(data);
    compare_label("infinity in %s", _i % 3 ? "k" : "v");
    attn_check(suite_ctx(), false, data, NULL);
    attn_data_free(data);
}
END_TEST

/* The same bits again and again, after other work, and whatever else is in the batch. */
START_TEST(determinism)
{
    const attn_spec spec = { .name = "repeat", .B = 3, .Hq = 4, .Hk = 2, .Nq = _i ? 1 : 50,
                             .Nk = 777, .D = 64, .Dv = 64, .spread = 10, .lse = true,
                             .causal = CLATTN_CAUSAL_BOTTOM_RIGHT };
    attn_data *data = attn_data_make(&spec, suite_seed());
    clattn_ctx *ctx = suite_ctx();
    attn_run run;
    float *first = NULL;

    attn_run_make(&run, ctx, data);
    for (int repeat = 0; repeat < 20; repeat++) {
        attn_run_poison(&run);
        OK(ctx, clattn_attention(ctx, &run.params));
        float *now = attn_run_output(&run);
        if (!first) {
            first = now;
            continue;
        }
        ck_assert_msg(memcmp(first, now, data->count_o * sizeof *now) == 0, "repeat %d differs",
                      repeat);
        free(now);
    }
    free(first);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* A sequence's decode result does not depend on its neighbours in the batch. */
START_TEST(batch_invariance)
{
    const attn_spec spec = { .B = 4, .Hq = 4, .Hk = 2, .Nq = 1, .Nk = 700, .D = 64, .Dv = 64 };
    attn_data *data = attn_data_make(&spec, suite_seed());
    clattn_ctx *ctx = suite_ctx();
    attn_run run;

    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_attention(ctx, &run.params));
    float *together = attn_run_output(&run);
    attn_run_poison(&run);
    for (int b = 0; b < spec.B; b++) {
        struct clattn_attention_params p = run.params;
        p.q = clattn_tensor_slice(p.q, 0, b, 1);
        p.k = clattn_tensor_slice(p.k, 0, b, 1);
        p.v = clattn_tensor_slice(p.v, 0, b, 1);
        p.o = clattn_tensor_slice(p.o, 0, b, 1);
        OK(ctx, clattn_attention(ctx, &p));
    }
    float *alone = attn_run_output(&run);
    ck_assert_int_eq(memcmp(together, alone, data->count_o * sizeof *alone), 0);
    free(together), free(alone);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* Attention over two halves of the keys, merged, is attention over all of them. */
START_TEST(merge_of_halves)
{
    static const attn_spec specs[] = {
        { .name = "halves", .B = 2, .Hq = 4, .Hk = 2, .Nq = 19, .Nk = 90, .D = 16, .Dv = 24,
          .lse = true, .spread = 10 },
        { .name = "one half is empty", .B = 1, .Hq = 2, .Hk = 1, .Nq = 7, .Nk = 30, .D = 16,
          .Dv = 24, .lse = true, .mask = true, .mask_repeat = REPEAT_N | REPEAT_H | REPEAT_B },
    };
    const attn_spec *s = &specs[_i];
    const int64_t half = s->Nk / 2, rows = (int64_t)s->B * s->Hq * s->Nq;
    const int64_t parts_shape[5] = { 2, s->B, s->Hq, s->Nq, s->Dv };
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(s, suite_seed());
    clattn_buffer *parts, *lse_parts;
    attn_run run;

    compare_label("%s", s->name);
    attn_run_make(&run, ctx, data);
    if (data->mask) {
        memset(data->mask, 0, (size_t)half);
        memory_put_bytes(&run.mask, data->mask);
        ref_attention(&data->ref, data->o, data->lse, NULL);
        attn_data_naive(data);
    }
    OK(ctx, clattn_buffer_create(ctx, (size_t)(2 * rows * s->Dv) * sizeof(float), &parts));
    OK(ctx, clattn_buffer_create(ctx, (size_t)(2 * rows) * sizeof(float), &lse_parts));
    for (int64_t i = 0; i < 2; i++) {
        struct clattn_attention_params p = run.params;
        p.k = clattn_tensor_slice(p.k, 2, i * half, half);
        p.v = clattn_tensor_slice(p.v, 2, i * half, half);
        if (data->mask)
            p.mask = clattn_tensor_slice(p.mask, 3, i * half, half);
        p.o = clattn_tensor_of_buffer(parts, CLATTN_F32, 4, parts_shape + 1);
        p.o.offset = i * rows * s->Dv;
        p.lse = clattn_tensor_of_buffer(lse_parts, CLATTN_F32, 3, parts_shape + 1);
        p.lse.offset = i * rows;
        OK(ctx, clattn_attention(ctx, &p));
    }
    OK(ctx, clattn_merge(ctx, clattn_merge_params(
        .o_parts = clattn_tensor_of_buffer(parts, CLATTN_F32, 5, parts_shape),
        .lse_parts = clattn_tensor_of_buffer(lse_parts, CLATTN_F32, 4, parts_shape),
        .o = run.o.tensor, .lse = run.lse.tensor)));
    attn_run_check(&run);
    clattn_buffer_destroy(&parts);
    clattn_buffer_destroy(&lse_parts);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* No part at all, and parts that saw nothing, whatever stands in their o. */
START_TEST(merge_of_nothing)
{
    static const int64_t shape[] = { 2, 1, 2, 3, 4 }, none[] = { 0, 1, 2, 3, 4 };
    clattn_ctx *ctx = suite_ctx();
    float parts[48], lse_parts[12], o[24], lse[6];

    for (int i = 0; i < 48; i++) {
        parts[i] = NAN;
        lse_parts[i / 4] = -INFINITY;
    }
    const int64_t *dims = _i ? none : shape;
    OK(ctx, clattn_merge(ctx, clattn_merge_params(
        .o_parts = clattn_tensor_of_host(parts, CLATTN_F32, 5, dims),
        .lse_parts = clattn_tensor_of_host(lse_parts, CLATTN_F32, 4, dims),
        .o = clattn_tensor_of_host(o, CLATTN_F32, 4, shape + 1),
        .lse = clattn_tensor_of_host(lse, CLATTN_F32, 3, shape + 1))));
    for (int i = 0; i < 24; i++)
        ck_assert(o[i] == 0);
    for (int i = 0; i < 6; i++)
        ck_assert(lse[i] == -INFINITY);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("attention");
    TCase *t = tcase_create("attention");

    tcase_add_loop_test(t, options, 0, sizeof combined / sizeof combined[0]);
    tcase_add_loop_test(t, options_on_host, 0, sizeof combined / sizeof combined[0]);
    tcase_add_loop_test(t, ragged_batches, 0, sizeof ragged / sizeof ragged[0]);
    tcase_add_loop_test(t, probabilities, 0, sizeof probs / sizeof probs[0]);
    tcase_add_loop_test(t, value_regimes, 0, 8);
    tcase_add_test(t, packed_qkv);
    tcase_add_test(t, helpers_of_tensors);
    tcase_add_loop_test(t, empty_sizes, 0, 32);
    tcase_add_loop_test(t, no_keys_but_sinks, 0, 2);
    tcase_add_loop_test(t, one_nan, 0, 5);
    tcase_add_loop_test(t, infinities, 0, 6);
    tcase_add_loop_test(t, determinism, 0, 2);
    tcase_add_test(t, batch_invariance);
    tcase_add_loop_test(t, merge_of_halves, 0, 2);
    tcase_add_loop_test(t, merge_of_nothing, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
