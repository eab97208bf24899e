/* SPDX-License-Identifier: Apache-2.0 */
/* linear_native: linear attention on the native CPU. Source: src/cpu/linear.c, linear_block.c. */
#include "cpu/linear.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_linear_native;

/*
 * The work inside a causal chunk grows with its length, that on the state does not: chunks are
 * short, unless features are many, because they read all of a large state. poly2 makes features for
 * a vector of rows at a time and sums them up over the chunk, which a long one does better.
 */
static int chunk_of(const cla_linear *p)
{
    const bool poly2 = p->map == CLATTN_MAP_POLY2;
    if (p->F > 512 || (poly2 && p->F > 128))
        return 128;
    if (p->F > 128)
        return 64;
    return p->causal && !poly2 ? 16 : 32;
}

/*
 * Segments are cut only where there are too few heads for the cores: they cost another pass over
 * the keys. The number of cores counts, not that of threads, which must not change results.
 */
static void estimate(const cla_dev *dev, const void *problem, int *t)
{
    const cla_linear *p = problem;
    const int64_t heads = (int64_t)p->B * p->Hk, cores = cla_cpu_cores();
    (void)dev;
    t[CLA_LINEAR_CHUNK] = chunk_of(p);
    t[CLA_LINEAR_SEGS] = 1;
    while (heads < 4 * cores && heads % cores != 0 && heads * t[CLA_LINEAR_SEGS] < 4 * cores
           && t[CLA_LINEAR_SEGS] < 64)
        t[CLA_LINEAR_SEGS] *= 2;
}

static size_t bind(void *problem, const int *t)
{
    return cla_cpu_linear_bind(problem, t);
}

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    return cla_cpu_linear(cpu, problem, t);
}

const cla_kernel cla_kernel_linear_native = {
    .name = "linear_native",
    .revision = 2,
    .stage = CLA_STAGE_LINEAR,
    .tunables = {
        [CLA_LINEAR_CHUNK] = { "CHUNK", { 16, 32, 64, 128 }, 32 },
        [CLA_LINEAR_SEGS] = { "SEGS", { 1, 2, 4, 8, 16, 32, 64 }, 1 },
    },
    .priority = cla_priority_only,
    .ok = cla_ok_always,
    .estimate = estimate,
    .bind = bind,
    .native = native,
};
