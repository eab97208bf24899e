/* SPDX-License-Identifier: Apache-2.0 */
/* proj_gemm_native: projection on the native CPU. Source: src/cpu/proj_gemm.c, proj_block.c */
#include "cpu/proj.h"
#include "kernel.h"

extern const cla_kernel cla_kernel_proj_gemm_native;

static int priority(const cla_dev *dev, const void *problem)
{
    (void)dev;
    (void)problem;
    return 50;
}

static size_t bind(void *problem, const int *t)
{
    cla_proj *p = problem;
    (void)t;
    p->work_w = 0;
    return cla_proj_gemm_floats(p, &cla_proj_f32_tile) * sizeof(float);
}

static clattn_status native(struct cla_cpu *cpu, const void *problem, const int *t)
{
    (void)t;
    return cla_cpu_proj_gemm(cpu, problem);
}

const cla_kernel cla_kernel_proj_gemm_native = {
    .name = "proj_gemm_native",
    .revision = 1,
    .stage = CLA_STAGE_PROJECTION,
    .priority = priority,
    .ok = cla_ok_always,
    .bind = bind,
    .native = native,
};
