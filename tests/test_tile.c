/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix tile: the scalar one on any OpenCL device, and the engine that the device was found to
 * have, if any. Every one of them must pass the probe that engines are chosen by.
 */
#include "kernels/tile_parts.h"
#include "opencl/probe.h"
#include "suite.h"

static void check_tile(clattn_ctx *ctx, cla_tile tile, clattn_dtype type)
{
    char options[64];
    cla_probe probe;
    cl_uint word = 0;
    cla_tile_probe(tile, type, options, &probe);
    OK(ctx, cla_cl_run_probe(ctx, &probe, &word));
    ck_assert_msg(word == 1, "the product is wrong: %s", options);
}

static const clattn_dtype types[] = { CLATTN_F16, CLATTN_BF16 };

START_TEST(scalar)
{
    check_tile(suite_ctx(), CLA_TILE_SCALAR, types[_i]);
}
END_TEST

START_TEST(engine)
{
    clattn_ctx *ctx = suite_ctx();
    const cla_tile tile = cla_tile_of(&ctx->dev, types[_i]);
    const clattn_device_info *info = clattn_ctx_device(ctx);
    ck_assert_int_eq(_i == 0 ? info->matrix_f16 : info->matrix_bf16, tile != CLA_TILE_SCALAR);
    if (tile != CLA_TILE_SCALAR)
        check_tile(ctx, tile, types[_i]);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("tile");
    TCase *t = tcase_create("tile");
    tcase_add_loop_test(t, scalar, 0, 2);
    tcase_add_loop_test(t, engine, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    suite_need_device();
    if (suite_is_native())
        suite_skip_all("the native CPU has no programs");
    return suite_run(suite());
}
