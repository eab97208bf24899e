/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attn_decode where it joins parts of the keys within its launch, and has more columns of values
 * than a work-group: the last work-group of all columns and parts joins them. On a CPU no estimate
 * leads there.
 */
#include "compare.h"
#include "kernel_run.h"
#include "suite.h"

/* In parts of 256 keys, the first of which the window hides. */
static const struct {
    attn_spec spec;
    const char *config;
    size_t groups; /* blocks of queries, slices of columns, parts, key/value heads, batches */
} cases[] = {
    { { .name = "bf16, Dv 130", .B = 2, .Hq = 4, .Hk = 2, .Nq = 3, .Nk = 700, .D = 16, .Dv = 130,
        .in = CLATTN_BF16, .lse = true, .sinks = true, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
      "WG=64 RB=4 SPLIT=256 JOIN=1", 2 * 2 * 3 * 2 * 2 },
    { { .name = "Dv 390", .B = 1, .Hq = 1, .Hk = 1, .Nq = 2, .Nk = 514, .D = 8, .Dv = 390,
        .lse = true, .window = true, .left = 256, .right = 0, .poison_hidden = true },
      "WG=64 RB=1 SPLIT=256 JOIN=1", 2 * 4 * 3 },
};

START_TEST(slices)
{
    clattn_ctx *ctx = suite_ctx();
    const cla_kernel *kernel = cla_kernel_find("attn_decode");
    cla_problem problem;
    int t[CLA_MAX_TUNABLES];
    attn_run run;

    if (!(ctx->dev.caps & CLA_CAP_HANDOVER))
        return;
    compare_label("attn_decode %s on \"%s\"", cases[_i].config, cases[_i].spec.name);
    attn_data *data = attn_data_make(&cases[_i].spec, suite_seed());
    attn_run_make(&run, ctx, data);
    ck_assert(cla_config_parse(kernel, cases[_i].config, t));
    ck_assert(kernel_problem(ctx, kernel, kernel_params(kernel, &run), problem.bytes));
    ck_assert(cla_kernel_legal(kernel, &ctx->dev, problem.bytes, t));
    const cla_geometry g = kernel->geometry(problem.bytes, t);
    ck_assert_uint_eq(g.global[0] / g.local[0], cases[_i].groups);
    kernel_run_attention(ctx, kernel, &run, (const cla_attn *)problem.bytes, t);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("decode_parts");
    TCase *t = tcase_create("decode_parts");
    tcase_add_loop_test(t, slices, 0, sizeof cases / sizeof cases[0]);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
