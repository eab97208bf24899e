/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix tile: the scalar one on any OpenCL device, and the engine that the device was found to
 * have, if any. Every one of them must pass the probe that engines are chosen by. A CPU also runs
 * the fragments of engines that it has not, over instructions as their manuals define them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/tile_parts.h"
#include "memory.h"
#include "opencl/probe.h"
#include "suite.h"

static void check_probe(clattn_ctx *ctx, const cla_probe *probe)
{
    cl_uint word = 0;
    OK(ctx, cla_cl_run_probe(ctx, probe, &word));
    ck_assert_msg(word == 1, "the product is wrong: %s", probe->options);
}

static void check_tile(clattn_ctx *ctx, cla_tile tile, clattn_dtype type)
{
    char options[64];
    cla_probe probe;
    cla_tile_probe(tile, type, options, &probe);
    check_probe(ctx, &probe);
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

/* ---- emulated instructions ---- */

/* A file of tests/data as a part of a program. */
static cla_blob read_part(const char *name)
{
    enum { MOST = 16 << 10 };
    char path[512];
    const char *folder = getenv("CLATTN_DATA_DIR");
    ck_assert_msg(folder != NULL, "CLATTN_DATA_DIR is not set");
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot read %s", path);
    unsigned char *data = memory_alloc(MOST);
    const size_t size = fread(data, 1, MOST, f);
    fclose(f);
    ck_assert(size > 0 && size < MOST);
    return (cla_blob){ name, data, size, "" };
}

static const struct {
    cla_tile tile;
    clattn_dtype type;
} emulated[] = {
    { CLA_TILE_WMMA_GFX11, CLATTN_F16 }, { CLA_TILE_WMMA_GFX12, CLATTN_BF16 },
    { CLA_TILE_MFMA, CLATTN_F16 },       { CLA_TILE_DPAS_8, CLATTN_BF16 },
    { CLA_TILE_DPAS_16, CLATTN_F16 },
};

/* What two sub-groups of 64 exchange: a CPU runs kernels in this process. */
static uint32_t scratch[128 * 32];

/* Parts of a probe are the prelude, those of the tile, and the kernel. */
START_TEST(fragments)
{
    clattn_ctx *ctx = suite_ctx();
    if (clattn_ctx_device(ctx)->type != CLATTN_DEVICE_CPU)
        return;
    const cla_blob instructions = read_part("tile_instructions.cl");
    const cla_blob dpas = read_part("tile_dpas.cl");
    char tile_options[64], options[128];
    cla_probe probe, with = { 0 };
    int last = 0;

    cla_tile_probe(emulated[_i].tile, emulated[_i].type, tile_options, &probe);
    snprintf(options, sizeof options, "%s -DSCRATCH=%llu", tile_options,
             (unsigned long long)(uintptr_t)scratch);
    while (probe.parts[last + 1])
        last++;
    with = probe;
    with.options = options;
    memcpy(&with.parts[2], &probe.parts[1], (size_t)(last - 1) * sizeof probe.parts[0]);
    with.parts[1] = &instructions;
    with.parts[last + 1] = &dpas;
    with.parts[last + 2] = probe.parts[last];
    check_probe(ctx, &with);
    free((void *)(uintptr_t)instructions.data);
    free((void *)(uintptr_t)dpas.data);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("tile");
    TCase *t = tcase_create("tile");
    tcase_add_loop_test(t, scalar, 0, 2);
    tcase_add_loop_test(t, engine, 0, 2);
    tcase_add_loop_test(t, fragments, 0, sizeof emulated / sizeof emulated[0]);
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
