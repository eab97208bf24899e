/* SPDX-License-Identifier: Apache-2.0 */
/* argmax_cpu: argmax attention on float16 registers. Source: cl/argmax_cpu.cl */
#include "argmax_parts.h"
#include "attn_args.h"

enum { RB, MB, KEYS };

extern const cla_blob cla_src_kv_clh;
extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh;
extern const cla_blob cla_src_attn_panel_cpu_clh, cla_src_attn_cpu_clh,
    cla_src_attn_rows_cpu_clh, cla_src_argmax_clh, cla_src_argmax_cpu_clh;
extern const cla_blob cla_src_argmax_cpu;
extern const cla_blob cla_src_vec16_clh;
extern const cla_kernel cla_kernel_argmax_cpu, cla_kernel_argmax_pick;

static size_t num_rows(const cla_attn *p)
{
    return (size_t)p->G * (size_t)p->Nq;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t rows = (size_t)t[RB] * (size_t)t[MB], heads = (size_t)p->B * (size_t)p->Hk;
    const size_t floats = rows * (((size_t)p->D + 15) / 16 * 16 + 48) + (size_t)t[RB] * 64;
    return cla_launches(dev, cla_ceil_div(num_rows(p), rows), heads)
        && floats * sizeof(float) <= CLA_MAX_PRIVATE;
}

/* Many rows share a tile of keys while it is in the cache; few rows are split by keys. */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const size_t rows = num_rows(p);
    (void)dev;
    t[RB] = rows > 4 ? 8 : rows > 2 ? 4 : rows > 1 ? 2 : 1;
    t[MB] = rows >= 64 ? 4 : 1;
    t[KEYS] = rows > 64 ? 4096 : 512;
}

static size_t bind(void *problem, const int *t)
{
    return cla_argmax_split(problem, t[KEYS]);
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t rows = (size_t)t[RB] * (size_t)t[MB];
    return cla_single_items((size_t)p->splits, cla_ceil_div(num_rows(p), rows),
                            (size_t)p->B * (size_t)p->Hk);
}

const cla_kernel cla_kernel_argmax_cpu = {
    .name = "argmax_cpu",
    .revision = 1,
    .stage = CLA_STAGE_ARGMAX,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_vec16_clh,
               &cla_src_attn_panel_cpu_clh, &cla_src_attn_cpu_clh,
               &cla_src_attn_rows_cpu_clh, &cla_src_argmax_clh, &cla_src_argmax_cpu_clh,
               &cla_src_argmax_cpu },
    .tunables = {
        [RB] = { "RB", { 1, 2, 4, 8 }, 1 },
        [MB] = { "MB", { 1, 2, 4, 8 }, 1 },
        [KEYS] = { "KEYS", { 256, 512, 1024, 4096 }, 512, .run_time = true },
    },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .priority = cla_attn_priority_cpu,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .after = &cla_kernel_argmax_pick,
};
