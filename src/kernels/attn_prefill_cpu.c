/* SPDX-License-Identifier: Apache-2.0 */
/* attn_prefill_cpu: attention for many rows on float16 registers. Source: cl/attn_prefill_cpu.cl */
#include "attn_args.h"
#include "cpu/cpu.h"

enum { BR, NV, BK, MB };

extern const cla_blob cla_src_kv_clh;
extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh;
extern const cla_blob cla_src_attn_panel_cpu_clh, cla_src_attn_cpu_clh;
extern const cla_blob cla_src_attn_prefill_cpu;
extern const cla_blob cla_src_vec16_clh;
extern const cla_kernel cla_kernel_attn_pack_cpu, cla_kernel_attn_prefill_cpu;

/* Packed keys and values of a head above this do not stay in a second-level cache. */
#define CACHED_BYTES ((size_t)1 << 20)
/* Work-items of a thread that let threads finish at about the same time. */
#define ITEMS_PER_THREAD 8

static size_t padded(int32_t width)
{
    return ((size_t)width + 15) / 16 * 16;
}

static size_t num_items(const cla_attn *p, const int *t)
{
    const size_t rows = (size_t)t[BR] * (size_t)t[MB];
    return ((size_t)p->Nq + rows - 1) / rows;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t rows = (size_t)t[BR] * (size_t)t[MB];
    const size_t floats = rows * (padded(p->D) + padded(p->Dv) + 32)
                        + (size_t)t[BR] * (size_t)t[BK];
    return cla_launches(dev, (size_t)p->Hq, (size_t)p->B)
        && floats * sizeof(float) <= CLA_MAX_PRIVATE;
}

/*
 * 24 sums of 16 lanes fill the 32 registers of AVX-512 beside their operands; 6 sums of two halves
 * those of AVX2. A CPU behind OpenCL is this CPU.
 */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_attn *p = problem;
    const bool wide = cla_isa_is_wide(cla_cpu_isa(NULL));
    const size_t head_bytes = (size_t)p->Nk * (padded(p->D) + padded(p->Dv)) * sizeof(float);
    const size_t enough = (size_t)dev->info.compute_units * ITEMS_PER_THREAD;

    t[BR] = p->Nq <= 4 ? 4 : wide && p->Nq > 6 ? 12 : 6;
    t[NV] = wide ? 2 : 1;
    t[BK] = 64;
    t[MB] = 4;
    if (head_bytes <= CACHED_BYTES
        || num_items(p, t) * (size_t)p->Hq * (size_t)p->B < enough)
        t[MB] = 1;
}

static size_t bind(void *problem, const int *t)
{
    cla_attn *p = problem;
    const size_t panels = p->ragged
        ? (size_t)p->Hk * ((size_t)p->Tk / 16 + (size_t)p->B)
        : (size_t)p->B * (size_t)p->Hk * (((size_t)p->Nk + 15) / 16);
    const size_t k = panels * 16 * (size_t)p->D;
    const bool values_in_place = p->kv_type == CLATTN_F32 && p->Dv % 16 == 0 && !p->paged;
    const size_t v = values_in_place ? 0 : panels * 16 * padded(p->Dv);
    (void)t;
    p->splits = 1;
    p->split_keys = p->Nk;
    p->work_k = 0;
    p->work_v = (int64_t)k;
    return (k + v) * sizeof(float);
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    return cla_single_items(num_items(p, t), (size_t)p->Hq, (size_t)p->B);
}

const cla_kernel cla_kernel_attn_prefill_cpu = {
    .name = "attn_prefill_cpu",
    .revision = 1,
    .stage = CLA_STAGE_ATTENTION,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_vec16_clh,
               &cla_src_attn_panel_cpu_clh, &cla_src_attn_cpu_clh,
               &cla_src_attn_prefill_cpu },
    .tunables = {
        [BR] = { "BR", { 4, 6, 12 }, 4 },
        [NV] = { "NV", { 1, 2 }, 1 },
        [BK] = { "BK", { 64, 128 }, 64 },
        [MB] = { "MB", { 1, 4 }, 1 },
    },
    .constants = { CLA_ATTN_CONSTANTS },
    .args = cla_attn_args,
    .priority = cla_attn_priority_cpu,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .before = &cla_kernel_attn_pack_cpu,
};
