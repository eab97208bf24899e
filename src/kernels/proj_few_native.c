/* SPDX-License-Identifier: Apache-2.0 */
/* proj_few_native: projection on the native CPU. Source: src/cpu/proj_few.c, proj_block.c */
#include "cpu/proj.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_proj_few_native;

/* Up to here reading the weights takes longer than multiplying them. */
static int priority(const cla_dev *dev, const void *problem)
{
    const cla_proj *p = problem;
    (void)dev;
    return p->rows <= CLA_PROJ_FEW ? 51 : 49;
}

/* Weights that lie in no order are better packed. */
static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_proj *p = problem;
    (void)dev;
    (void)t;
    return p->w_along != CLA_W_FREE;
}

static size_t bind(void *problem, const int *t)
{
    cla_proj *p = problem;
    (void)t;
    p->work_w = 0;
    return cla_proj_few_floats(p) * sizeof(float);
}

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    (void)t;
    return cla_cpu_proj_few(cpu, problem);
}

const cla_kernel cla_kernel_proj_few_native = {
    .name = "proj_few_native",
    .revision = 1,
    .stage = CLA_STAGE_PROJECTION,
    .priority = priority,
    .ok = ok,
    .bind = bind,
    .native = native,
};
