/* SPDX-License-Identifier: Apache-2.0 */
/* linear_cpu: linear attention on float16 registers. Source: cl/linear_cpu.cl */
#include "linear_args.h"

enum { BR, NV, CHUNK, SEGS };

extern const cla_blob cla_src_prelude_clh, cla_src_vec16_clh, cla_src_linear_clh;
extern const cla_blob cla_src_linear_ahead_clh, cla_src_linear_cpu_clh, cla_src_linear_cpu;
extern const cla_kernel cla_kernel_linear_state_cpu, cla_kernel_linear_cpu;

/* Private memory of a work-item lies on the stack of a driver thread, 2 MB at least. */
#define MAX_PRIVATE_BYTES ((size_t)768 << 10)

static int priority(const cla_dev *dev, const void *problem)
{
    (void)problem;
    return dev->info.type == CLATTN_DEVICE_CPU ? 100 : 1;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_linear *p = problem;
    const size_t columns = ((size_t)p->Dv + 15) / 16 * 16;
    const size_t made = p->map == CLATTN_MAP_POLY2 ? p->F < 256 ? (size_t)p->F : 256 : 16;
    const size_t floats = (size_t)t[CHUNK] * (2 * (size_t)p->D + 2 * columns + made + t[BR])
                        + 6 * (size_t)p->D;
    (void)dev;
    return floats * sizeof(float) <= MAX_PRIVATE_BYTES;
}

/*
 * The work inside a causal chunk grows with its length, that on the state does not: chunks are
 * short, unless features are many, because they read all of a large state. Segments are cut only
 * where there are too few heads for the cores: they cost another pass over the keys.
 */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_linear *p = problem;
    const int64_t heads = (int64_t)p->B * p->Hk, units = dev->info.compute_units;
    t[BR] = 8;
    t[NV] = 2;
    t[CHUNK] = p->F > 512 ? 128 : p->F > 128 ? 64 : p->causal ? 16 : 32;
    t[SEGS] = 1;
    while (heads < 4 * units && heads % units != 0 && heads * t[SEGS] < 4 * units && t[SEGS] < 64)
        t[SEGS] *= 2;
}

static size_t bind(void *problem, const int *t)
{
    cla_linear *p = problem;
    p->tile[0] = t[CHUNK];
    p->tile[1] = t[BR];
    p->tile[2] = t[NV];
    cla_linear_cut(p, p->quadratic ? p->Nk : ((int64_t)p->Nk + t[SEGS] - 1) / t[SEGS], t[CHUNK]);
    p->states = !p->quadratic;
    p->passes = p->states && p->segs > 1;
    return cla_linear_state_bytes(p);
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_linear *p = problem;
    const size_t B = (size_t)p->B, chunks = ((size_t)p->Nq + t[CHUNK] - 1) / (size_t)t[CHUNK];
    if (p->causal && !p->quadratic)
        return (cla_geometry){ 3, { (size_t)p->segs, (size_t)p->Hk, B }, { 1, 1, 1 } };
    return (cla_geometry){
        3, { chunks ? chunks : 1, p->Hq ? (size_t)p->Hq : 1, B }, { 1, 1, 1 }
    };
}

const cla_kernel cla_kernel_linear_cpu = {
    .name = "linear_cpu",
    .revision = 2,
    .stage = CLA_STAGE_LINEAR,
    .parts = { &cla_src_prelude_clh, &cla_src_vec16_clh, &cla_src_linear_clh,
               &cla_src_linear_ahead_clh, &cla_src_linear_cpu_clh, &cla_src_linear_cpu },
    .tunables = {
        [BR] = { "BR", { 4, 8 }, 4 },
        [NV] = { "NV", { 1, 2 }, 1 },
        [CHUNK] = { "CHUNK", { 16, 32, 64, 128 }, 32 },
        [SEGS] = { "SEGS", { 1, 2, 4, 8, 16, 32, 64 }, 1, .run_time = true },
    },
    .constants = { CLA_LINEAR_CONSTANTS },
    .args = cla_linear_args,
    .priority = priority,
    .ok = ok,
    .estimate = estimate,
    .bind = bind,
    .geometry = geometry,
    .before = &cla_kernel_linear_state_cpu,
};
