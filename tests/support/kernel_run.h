/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one kernel of the registry in one configuration, past the dispatcher. */
#ifndef TEST_KERNEL_RUN_H
#define TEST_KERNEL_RUN_H

#include "attention_case.h"
#include "plan.h"

enum { MAX_KERNELS = 64 };

typedef struct kernel_list {
    int count;
    const cla_kernel *kernel[MAX_KERNELS];
} kernel_list;

/*
 * Kernels of these stages that the device of the tests can run; helpers and probes are of none.
 * There must be one: a test of each would pass over an empty list.
 */
#define STAGE(name) (1u << CLA_STAGE_##name)
enum { ANY_STAGE = (1u << CLA_STAGE_HELPER) - 1 };
kernel_list kernels_of_device(unsigned stages);

/*
 * The problem of a call, through the library's own validation and with this kernel's defaults.
 * False: the kernel cannot do it. params is of the operation that the kernel's stage belongs to.
 */
bool kernel_problem(clattn_ctx *ctx, const cla_kernel *kernel, const void *params, void *problem);

/* The params of a run that belong to the kernel's stage: softmax or argmax attention. */
const void *kernel_params(const cla_kernel *kernel, const attn_run *run);

/*
 * Compiles, binds and runs the kernel with its helpers before and after, in a workspace full of
 * NaN whose margins must survive.
 */
void kernel_run(clattn_ctx *ctx, const cla_kernel *kernel, const void *problem, const int *t);

/* What of the outputs of a problem of attention the kernel's stage writes. */
void kernel_wants(const cla_kernel *kernel, attn_spec *spec);

/* Runs it on outputs that are NaN, and checks what its stage writes. */
void kernel_run_attention(clattn_ctx *ctx, const cla_kernel *kernel, attn_run *run,
                          const cla_attn *problem, const int *t);

#endif
