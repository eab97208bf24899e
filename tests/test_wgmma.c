/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels on the matrix unit of warpgroups, where there is none: their sources with products by
 * single work-items (cl/wgmma_items.clh). Masks, schedules, layouts of operands and fragments, and
 * how results end are the same; barriers between warpgroups and tensor copies are not looked at.
 *
 * Every line of a table is a program, which takes the driver some seconds to build.
 */
#include <string.h>

#include "compare.h"
#include "kernel_run.h"
#include "kernels/wgmma.h"
#include "projection_case.h"
#include "suite.h"

extern const cla_kernel cla_kernel_attn_prefill_wgmma, cla_kernel_attn_prefill,
    cla_kernel_proj_wgmma, cla_kernel_proj_gemm;

/* The kernel as any device can run it; its first tunable is the unit. */
static cla_kernel by_items(const cla_kernel *kernel)
{
    cla_kernel copy = *kernel;

    copy.needs = 0;
    copy.tunables[0].choices[0] = copy.tunables[0].safe = CLA_UNIT_ITEMS;
    return copy;
}

static const int lens_q[] = { 3, 0, 133, 1 }, lens_k[] = { 35, 9, 200, 0 };
static const int lens_cache[] = { 131, 0, 240, 64 };

/* CONSUMERS, BC, STAGES; TURNS and COPY concern the unit alone. */
#define CONFIG(consumers, keys, stages) { CLA_UNIT_ITEMS, consumers, keys, stages, 1, 1 }
enum { MAX_SHAPES = 8 };

/* Shapes that share a program. */
typedef struct program {
    int t[CLA_MAX_TUNABLES];
    attn_spec shapes[MAX_SHAPES];
} program;

#define D_64 .D = 64, .Dv = 64, .in = CLATTN_F16, .lse = true
#define ALL_OPTIONS                                                                            \
    .mask = true, .bias = true, .alibi = true, .sinks = true, .softcap = 20, .lse = true
static const program programs[] = {
    { CONFIG(2, 64, 2),
      { { D_64, .name = "causal, spread 30", .B = 2, .Hq = 2, .Hk = 1, .Nq = 130, .Nk = 201,
          .spread = 30, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT },
        { D_64, .name = "what no row sees is poisoned", .B = 1, .Hq = 2, .Hk = 1, .Nq = 70,
          .Nk = 200, .causal = CLATTN_CAUSAL_TOP_LEFT, .poison_hidden = true,
          .layout = LAYOUT_BNHD },
        { D_64, .name = "window, rising scores", .B = 1, .Hq = 2, .Hk = 1, .Nq = 70, .Nk = 231,
          .regime = REGIME_RISING, .spread = 10, .window = true, .left = 70, .right = 11,
          .poison_hidden = true },
        { D_64, .name = "more rows than keys, padded", .B = 1, .Hq = 2, .Hk = 2, .Nq = 150,
          .Nk = 7, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .layout = LAYOUT_PADDED },
        { D_64, .name = "one", .B = 1, .Hq = 1, .Hk = 1, .Nq = 1, .Nk = 1 },
        { D_64, .name = "spread 1000", .B = 1, .Hq = 1, .Hk = 1, .Nq = 128, .Nk = 130,
          .spread = 1000 },
        { D_64, .name = "one huge score", .B = 1, .Hq = 2, .Hk = 2, .Nq = 18, .Nk = 150,
          .regime = REGIME_ONE_HUGE, .spread = 3 },
        { D_64, .name = "the least scale", .B = 1, .Hq = 1, .Hk = 1, .Nq = 70, .Nk = 100,
          .scale = 0x1p-64f, .causal = CLATTN_CAUSAL_TOP_LEFT } } },
    { CONFIG(3, 64, 3),
      { { ALL_OPTIONS, .name = "all options, ragged", .B = 4, .Hq = 2, .Hk = 1, .D = 40, .Dv = 72,
          .in = CLATTN_F16, .lens_q = lens_q, .lens_k = lens_k },
        { ALL_OPTIONS, .name = "all options, hidden rows", .B = 4, .Hq = 2, .Hk = 1, .D = 40,
          .Dv = 72, .in = CLATTN_F16, .lens_q = lens_q, .lens_k = lens_k, .bias_hides = true,
          .causal = CLATTN_CAUSAL_BOTTOM_RIGHT, .poison_hidden = true } } },
    { CONFIG(2, 128, 2),
      { { .name = "pages", .B = 4, .Hq = 2, .Hk = 1, .Nq = 66, .D = 192, .Dv = 50,
          .in = CLATTN_BF16, .kv = CLATTN_BF16, .page_rows = 16, .lens_k = lens_cache,
          .sinks = true, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT } } },
    { CONFIG(2, 64, 2),
      { { .name = "D 20, Dv 256, softcap", .B = 1, .Hq = 1, .Hk = 1, .Nq = 90, .Nk = 100, .D = 20,
          .Dv = 256, .in = CLATTN_F16, .softcap = 5, .spread = 10 } } },
};

static void check_shape(const cla_kernel *kernel, const int *t, const attn_spec *spec)
{
    char config[128];
    attn_run run;
    cla_attn problem;

    cla_config_text(kernel, t, config, sizeof config);
    compare_label("%s %s on \"%s\"", kernel->name, config, spec->name);
    attn_data *data = attn_data_make(spec, suite_seed());
    attn_run_make(&run, suite_ctx(), data);
    ck_assert(kernel_problem(suite_ctx(), &cla_kernel_attn_prefill, &run.params, &problem));
    ck_assert_msg(cla_kernel_legal(kernel, &suite_ctx()->dev, &problem, t), "%s: not legal",
                  compare_label_text());
    kernel_run_attention(suite_ctx(), kernel, &run, &problem, t);
    attn_run_free(&run);
    attn_data_free(data);
}

START_TEST(attention)
{
    const cla_kernel kernel = by_items(&cla_kernel_attn_prefill_wgmma);
    const program *p = &programs[_i];

    for (int i = 0; i < MAX_SHAPES && p->shapes[i].name; i++)
        check_shape(&kernel, p->t, &p->shapes[i]);
}
END_TEST

/* A smaller scale would bring what is masked too close to what is not. */
START_TEST(smaller_scale)
{
    const cla_kernel kernel = by_items(&cla_kernel_attn_prefill_wgmma);
    const attn_spec spec = { D_64, .name = "too small a scale", .B = 1, .Hq = 1, .Hk = 1, .Nq = 1,
                             .Nk = 1, .scale = 0x1p-65f };
    cla_attn problem;
    attn_run run;

    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run_make(&run, suite_ctx(), data);
    ck_assert(kernel_problem(suite_ctx(), &cla_kernel_attn_prefill, &run.params, &problem));
    ck_assert(!cla_kernel_legal(&kernel, &suite_ctx()->dev, &problem, programs[0].t));
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* Guesses are legal at all widths, with scores as they are and with something done to them. */
START_TEST(estimates)
{
    const cla_kernel *kernel = &cla_kernel_attn_prefill_wgmma;
    cla_attn p = { .B = 1, .Hq = 8, .Hk = 8, .G = 1, .Nq = 512, .Tq = 512, .Nk = 512, .Tk = 512,
                   .in_type = CLATTN_F16, .kv_type = CLATTN_F16, .out_type = CLATTN_F16,
                   .has_bias = _i, .scale = 1 };
    int t[CLA_MAX_TUNABLES];

    for (p.D = 1; p.D <= 256; p.D++)
        for (p.Dv = 1; p.Dv <= 256; p.Dv++) {
            p.k.stride[2] = p.D;
            p.v.stride[2] = p.Dv;
            kernel->estimate(&suite_ctx()->dev, &p, t);
            ck_assert_msg(kernel->ok(&suite_ctx()->dev, &p, t), "D = %d, Dv = %d", (int)p.D,
                          (int)p.Dv);
        }
}
END_TEST

/* UNIT, BN, STAGES. */
typedef struct proj_program {
    int t[CLA_MAX_TUNABLES];
    proj_spec spec;
} proj_program;

static const proj_program proj_programs[] = {
    { { CLA_UNIT_ITEMS, 128, 3 },
      { .name = "f16, tails", .B = 2, .N = 83, .M = 200, .in = CLATTN_F16, .w_layout = W_FLAT,
        .part = { { .H = 1, .K = 150, .bias = true } } } },
    { { CLA_UNIT_ITEMS, 256, 3 },
      { .name = "bf16, q, k, v with everything, padded", .B = 2, .N = 40, .M = 77,
        .in = CLATTN_BF16, .w_layout = W_PADDED, .y_layout = Y_PADDED, .start = 1000,
        .part = { { .H = 3, .K = 22, .rotary = CLATTN_ROTARY_NEOX, .bias = true },
                  { .H = 1, .K = 40, .rotary = CLATTN_ROTARY_GPTJ, .residual = true },
                  { .H = 2, .K = 5, .bias = true, .in_place = true } } } },
    { { CLA_UNIT_ITEMS, 128, 4 },
      { .name = "f16 to f32", .B = 1, .N = 130, .M = 64, .in = CLATTN_F16, .out = CLATTN_F32,
        .part = { { .H = 2, .K = 70 } } } },
};

START_TEST(projection)
{
    const cla_kernel kernel = by_items(&cla_kernel_proj_wgmma);
    const proj_program *p = &proj_programs[_i];
    proj_run run;
    cla_proj problem;

    compare_label("%s on \"%s\"", kernel.name, p->spec.name);
    proj_data *data = proj_data_make(&p->spec, suite_seed());
    proj_run_make(&run, suite_ctx(), data);
    ck_assert(kernel_problem(suite_ctx(), &cla_kernel_proj_gemm, &run.params, &problem));
    ck_assert_msg(cla_kernel_legal(&kernel, &suite_ctx()->dev, &problem, p->t), "%s: not legal",
                  compare_label_text());
    proj_run_poison(&run);
    kernel_run(suite_ctx(), &kernel, &problem, p->t);
    proj_run_check(&run);
    proj_run_free(&run);
    proj_data_free(data);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("wgmma");
    TCase *t = tcase_create("wgmma");

    tcase_add_loop_test(t, attention, 0, (int)(sizeof programs / sizeof programs[0]));
    tcase_add_test(t, smaller_scale);
    tcase_add_loop_test(t, estimates, 0, 2);
    tcase_add_loop_test(t, projection, 0, (int)(sizeof proj_programs / sizeof proj_programs[0]));
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
