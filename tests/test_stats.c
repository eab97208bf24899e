/* SPDX-License-Identifier: Apache-2.0 */
/* What the weights of attention come to, through the public API: options, layouts, NaN, errors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention_case.h"
#include "compare.h"
#include "suite.h"

static const int ragged_q[] = { 5, 0, 17, 1, 9 }, ragged_k[] = { 40, 12, 3, 0, 9 };
static const attn_spec stats[] = {
    { .name = "stats", .B = 2, .Hq = 4, .Hk = 2, .Nq = 53, .Nk = 171, .D = 16, .Dv = 16,
      .spread = 3, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .stats = true, .lse = true,
      .poison_hidden = true },
    { .name = "stats, padded, everything", .B = 2, .Hq = 4, .Hk = 2, .Nq = 19, .Nk = 145, .D = 16,
      .Dv = 16, .window = true, .left = 70, .right = 3, .stats = true, .bias = true,
      .mask = true, .sinks = true, .alibi = true, .softcap = 5, .in = CLATTN_F16,
      .probs_row = 7, .poison_hidden = true, .layout = LAYOUT_PADDED },
    { .name = "stats and probs, bias of -inf", .B = 5, .Hq = 2, .Hk = 1, .Nq = 9, .Nk = 50,
      .D = 16, .Dv = 16, .bias = true, .bias_hides = true, .stats = true, .probs = true },
    { .name = "stats, ragged", .B = 5, .Hq = 2, .Hk = 1, .D = 16, .Dv = 16, .lens_q = ragged_q,
      .lens_k = ragged_k, .stats = true, .bias = true, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
    { .name = "stats, sinks, one row", .B = 3, .Hq = 8, .Hk = 2, .Nq = 1, .Nk = 300, .D = 20,
      .Dv = 8, .spread = 30, .sinks = true, .stats = true },
    { .name = "stats, fewer keys than wanted", .B = 1, .Hq = 2, .Hk = 1, .Nq = 18, .Nk = 3,
      .D = 16, .Dv = 16, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .stats = true, .lse = true },
    { .name = "stats, no keys", .B = 1, .Hq = 2, .Hk = 1, .Nq = 18, .Nk = 0, .D = 16, .Dv = 16,
      .stats = true, .lse = true },
    { .name = "stats, equal scores", .B = 1, .Hq = 2, .Hk = 2, .Nq = 18, .Nk = 150, .D = 16,
      .Dv = 16, .regime = REGIME_EQUAL, .stats = true, .lse = true },
    { .name = "stats of a wide spread", .B = 1, .Hq = 8, .Hk = 2, .Nq = 90, .Nk = 300, .D = 64,
      .Dv = 16, .spread = 1000, .stats = true },
};

START_TEST(statistics)
{
    attn_data *data = attn_data_make(&stats[_i], suite_seed());

    for (int host = 0; host < 2; host++) {
        compare_label("%s%s", stats[_i].name, host ? ", host" : "");
        attn_check(suite_ctx(), host, data, NULL);
    }
    attn_data_free(data);
}
END_TEST

static bool same(const float *got, const float *want, int n)
{
    for (int i = 0; i < n; i++)
        if (!(fabsf(got[i] - want[i]) < 1e-6f) && !(isnan(got[i]) && isnan(want[i])))
            return false;
    return true;
}

/* Key 1 is NaN: row 0 does not see it, rows 1 and 2 do. */
START_TEST(statistics_of_nan)
{
    static const float q[3] = { 1, 1, 1 }, k[3] = { 1, NAN, 2 }, v[3] = { 0 };
    static const int32_t keys[9] = { 0, 1, 2, 0, 1, 2, 0, 1, 2 };
    static const float sums[3] = { 0, NAN, NAN };
    static const float weights[9] = { 1, 0, 0, NAN, NAN, 0, NAN, NAN, NAN };
    static const int64_t rows[4] = { 1, 1, 3, 1 }, wide[4] = { 1, 1, 3, 3 }, flat[3] = { 1, 3, 3 };
    float o[3], entropy[3], distance[3], top[9], chosen[9], mean[9];
    int32_t top_keys[9];

    OK(suite_ctx(),
       clattn_attention(suite_ctx(), clattn_attention_params(
           .q = clattn_tensor_of_host(q, CLATTN_F32, 4, rows),
           .k = clattn_tensor_of_host(k, CLATTN_F32, 4, rows),
           .v = clattn_tensor_of_host(v, CLATTN_F32, 4, rows),
           .o = clattn_tensor_of_host(o, CLATTN_F32, 4, rows),
           .causal = CLATTN_CAUSAL_BOTTOM_RIGHT,
           .stats = { .entropy = clattn_tensor_of_host(entropy, CLATTN_F32, 3, rows),
                      .distance = clattn_tensor_of_host(distance, CLATTN_F32, 3, rows),
                      .top = clattn_tensor_of_host(top, CLATTN_F32, 4, wide),
                      .top_keys = clattn_tensor_of_host(top_keys, CLATTN_I32, 4, wide),
                      .keys = clattn_tensor_of_host(keys, CLATTN_I32, 3, flat),
                      .chosen = clattn_tensor_of_host(chosen, CLATTN_F32, 4, wide),
                      .mean = clattn_tensor_of_host(mean, CLATTN_F32, 3, flat) })));
    ck_assert(same(entropy, sums, 3) && same(distance, sums, 3));
    ck_assert(same(chosen, weights, 9) && same(mean, weights, 9));
    ck_assert(top_keys[0] == 0 && top_keys[1] == -1 && fabsf(top[0] - 1) < 1e-6f && top[1] == 0);
    ck_assert(top_keys[6] == 2 && top_keys[7] == 0 && top_keys[8] == -1 && isnan(top[6]));
}
END_TEST

/* ---- calls with one thing wrong ---- */

typedef struct clattn_attention_params params;

#define SPOIL(name, ...)              \
    static void name(params *p)       \
    {                                 \
        __VA_ARGS__;                  \
    }
static const clattn_tensor absent = { .dtype = CLATTN_NONE };

SPOIL(entropy_of_two_rows, p->stats.entropy = clattn_tensor_slice(p->stats.entropy, 2, 0, 2))
SPOIL(entropy_over_o, p->stats.entropy.buffer = p->o.buffer;
      p->stats.entropy.offset = p->o.offset)
SPOIL(top_alone, p->stats.top_keys = absent)
SPOIL(top_keys_of_f32, p->stats.top_keys.dtype = CLATTN_F32)
SPOIL(four_top_keys, p->stats.top_keys = clattn_tensor_slice(p->stats.top_keys, 3, 0, 4))
SPOIL(keys_alone, p->stats.chosen = absent)
SPOIL(two_chosen_keys, p->stats.chosen = clattn_tensor_slice(p->stats.chosen, 3, 0, 2))
SPOIL(keys_of_one_batch, p->stats.keys = clattn_tensor_slice(p->stats.keys, 0, 0, 1))
SPOIL(mean_of_four_keys, p->stats.mean = clattn_tensor_slice(p->stats.mean, 2, 0, 4))
SPOIL(mean_beyond_rows, p->stats.mean_row = 1)
SPOIL(mean_of_negative_row, p->stats.mean_row = -1)
SPOIL(mean_behind_the_rows, p->stats.mean_row = 4)
SPOIL(mean_of_one_batch, p->stats.mean = clattn_tensor_slice(p->stats.mean, 0, 0, 1))
SPOIL(keys_of_two_rows, p->stats.keys = clattn_tensor_slice(p->stats.keys, 1, 0, 2))
SPOIL(lse_of_one_batch, p->lse = clattn_tensor_slice(p->lse, 0, 0, 1))
SPOIL(lse_of_three_heads, p->lse = clattn_tensor_slice(p->lse, 1, 0, 3))
SPOIL(probs_of_one_batch, p->probs = clattn_tensor_slice(p->probs, 0, 0, 1))
SPOIL(probs_behind_the_heads, p->probs_head = 5)
SPOIL(probs_of_negative_row, p->probs_row = -1)
SPOIL(probs_behind_the_rows, p->probs_row = 4)

static const struct {
    void (*spoil)(params *p);
    clattn_status status;
    const char *words; /* that the sentence must contain, separated by '|' */
} bad_calls[] = {
    { entropy_of_two_rows, CLATTN_ERR_SHAPE, "stats.entropy|2|3" },
    { entropy_over_o, CLATTN_ERR_ARG, "stats.entropy|o|overlap" },
    { top_alone, CLATTN_ERR_ARG, "stats.top|stats.top_keys" },
    { top_keys_of_f32, CLATTN_ERR_ARG, "stats.top_keys|f32" },
    { four_top_keys, CLATTN_ERR_SHAPE, "stats.top|5|stats.top_keys|4" },
    { keys_alone, CLATTN_ERR_ARG, "stats.keys|stats.chosen" },
    { two_chosen_keys, CLATTN_ERR_SHAPE, "stats.keys|3|2" },
    { keys_of_one_batch, CLATTN_ERR_SHAPE, "stats.keys|1|2" },
    { mean_of_four_keys, CLATTN_ERR_SHAPE, "stats.mean|4|5" },
    { mean_beyond_rows, CLATTN_ERR_SHAPE, "stats.mean|3" },
    { mean_of_negative_row, CLATTN_ERR_SHAPE, "stats.mean|-1" },
    { mean_behind_the_rows, CLATTN_ERR_SHAPE, "stats.mean is of rows 4 to|q has 3 rows" },
    { mean_of_one_batch, CLATTN_ERR_SHAPE, "stats.mean is [1]|must be [2]" },
    { keys_of_two_rows, CLATTN_ERR_SHAPE, "stats.keys is [2][2]|must be [2][3]" },
    { lse_of_one_batch, CLATTN_ERR_SHAPE, "lse is [1][4][3], must be [2][4][3]" },
    { lse_of_three_heads, CLATTN_ERR_SHAPE, "lse is [2][3][3], must be [2][4][3]" },
    { probs_of_one_batch, CLATTN_ERR_SHAPE, "probs is [1]|must be [2]" },
    { probs_behind_the_heads, CLATTN_ERR_SHAPE, "probs of heads 5 to|q has 4 heads" },
    { probs_of_negative_row, CLATTN_ERR_SHAPE, "probs of rows -1 to" },
    { probs_behind_the_rows, CLATTN_ERR_SHAPE, "probs of rows 4 to|q has 3 rows" },
};

START_TEST(errors)
{
    static const attn_spec spec = { .B = 2, .Hq = 4, .Hk = 2, .Nq = 3, .Nk = 5, .D = 8, .Dv = 6,
                                    .stats = true, .lse = true, .probs = true };
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;

    compare_label("%s", bad_calls[_i].words);
    attn_run_make(&run, ctx, data);
    params p = run.params;
    bad_calls[_i].spoil(&p);
    suite_expect(__FILE__, __LINE__, ctx, bad_calls[_i].words, clattn_attention(ctx, &p),
                 bad_calls[_i].status);
    suite_sentence(__FILE__, __LINE__, ctx, bad_calls[_i].words);
    OK(ctx, clattn_attention(ctx, &run.params));
    attn_run_check(&run);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("stats");
    TCase *t = tcase_create("stats");
    tcase_add_loop_test(t, statistics, 0, sizeof stats / sizeof stats[0]);
    tcase_add_test(t, statistics_of_nan);
    tcase_add_loop_test(t, errors, 0, sizeof bad_calls / sizeof bad_calls[0]);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
