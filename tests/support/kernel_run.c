/* SPDX-License-Identifier: Apache-2.0 */
/* What plan.c does for a whole operation, done for one kernel. */
#include "kernel_run.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "compare.h"
#include "suite.h"

static const cla_op *op_of(const cla_kernel *kernel)
{
    switch (kernel->stage) {
    case CLA_STAGE_MERGE: return &cla_op_merge;
    case CLA_STAGE_ARGMAX: return &cla_op_argmax;
    case CLA_STAGE_LINEAR: return &cla_op_linear_attention;
    case CLA_STAGE_PROJECTION: return &cla_op_projection;
    case CLA_STAGE_ROPE: return &cla_op_rope;
    case CLA_STAGE_ROWWISE: return &cla_op_rowwise;
    case CLA_STAGE_EMBEDDING: return &cla_op_embedding;
    default: return &cla_op_attention;
    }
}

kernel_list kernels_of_device(unsigned stages)
{
    kernel_list list = { 0 };

    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *kernel = cla_kernels[i];
        if (!(stages & ANY_STAGE & 1u << kernel->stage)
            || !cla_kernel_is_for(kernel, &suite_ctx()->dev))
            continue;
        if (list.count == MAX_KERNELS)
            suite_bail_out("kernels_of_device", "more kernels than MAX_KERNELS");
        list.kernel[list.count++] = kernel;
    }
    if (list.count == 0)
        suite_bail_out("kernels_of_device", "no kernel of a stage");
    return list;
}

bool kernel_problem(clattn_ctx *ctx, const cla_kernel *kernel, const void *params, void *problem)
{
    clattn_plan *plan;
    clattn_status s;

    if (kernel->stage == CLA_STAGE_MERGE) {
        struct clattn_merge_params p = *(const struct clattn_merge_params *)params;
        p.kernel = kernel->name;
        s = clattn_plan_merge(ctx, &p, &plan);
    } else if (kernel->stage == CLA_STAGE_ARGMAX) {
        struct clattn_argmax_params p = *(const struct clattn_argmax_params *)params;
        p.kernel = kernel->name;
        s = clattn_plan_argmax(ctx, &p, &plan);
    } else if (kernel->stage == CLA_STAGE_LINEAR) {
        struct clattn_linear_attention_params p =
            *(const struct clattn_linear_attention_params *)params;
        p.kernel = kernel->name;
        s = clattn_plan_linear_attention(ctx, &p, &plan);
    } else if (kernel->stage == CLA_STAGE_PROJECTION) {
        struct clattn_projection_params p = *(const struct clattn_projection_params *)params;
        p.kernel = kernel->name;
        s = clattn_plan_projection(ctx, &p, &plan);
    } else if (kernel->stage == CLA_STAGE_ROPE) {
        struct clattn_rope_params p = *(const struct clattn_rope_params *)params;
        p.kernel = kernel->name;
        s = clattn_plan_rope(ctx, &p, &plan);
    } else if (kernel->stage == CLA_STAGE_ROWWISE) {
        struct clattn_rowwise_params p = *(const struct clattn_rowwise_params *)params;
        p.kernel = kernel->name;
        s = clattn_plan_rowwise(ctx, &p, &plan);
    } else if (kernel->stage == CLA_STAGE_EMBEDDING) {
        struct clattn_embedding_params p = *(const struct clattn_embedding_params *)params;
        p.kernel = kernel->name;
        s = clattn_plan_embedding(ctx, &p, &plan);
    } else {
        struct clattn_attention_params p = *(const struct clattn_attention_params *)params;
        p.kernel = kernel->stage == CLA_STAGE_ATTENTION ? kernel->name : NULL;
        s = clattn_plan_attention(ctx, &p, &plan);
    }
    if (s == CLATTN_ERR_UNSUPPORTED)
        return false;
    suite_expect(__FILE__, __LINE__, ctx, compare_label_text(), s, CLATTN_OK);
    memcpy(problem, plan->problem, plan->op->size);
    clattn_plan_destroy(&plan);
    return true;
}

const void *kernel_params(const cla_kernel *kernel, const attn_run *run)
{
    return kernel->stage == CLA_STAGE_ARGMAX ? (const void *)&run->argmax : &run->params;
}

static cla_view *work_of(const cla_kernel *kernel, void *problem)
{
    return (cla_view *)((char *)problem + op_of(kernel)->work);
}

/* Binds the problem and gives it a workspace of exactly the bytes it asked for. */
static void bind(clattn_ctx *ctx, const cla_kernel *kernel, void *problem, const int *t,
                 test_memory *work)
{
    const size_t bytes = kernel->bind ? kernel->bind(problem, t) : 0;
    const int64_t shape[1] = { (int64_t)bytes };

    if (bytes == 0)
        return;
    memory_make(work, ctx, true, CLATTN_U8, 1, shape, NULL);
    cla_view *view = work_of(kernel, problem);
    *view = (cla_view){ .buffer = work->tensor.buffer, .host = work->tensor.buffer->host,
                        .span = shape[0], .shape = { shape[0] }, .stride = { 1 },
                        .dtype = CLATTN_U8, .offset = work->tensor.offset };
    if (op_of(kernel)->rebase)
        op_of(kernel)->rebase(problem, work->tensor.offset / (int64_t)sizeof(float));
}

/* Zeros for the marks that a kernel wants, which are zeros again when it has run. */
static clattn_buffer *marks_of(clattn_ctx *ctx, const cla_kernel *kernel, void *problem)
{
    const size_t offset = op_of(kernel)->marks;
    cla_view *view = (cla_view *)((char *)problem + offset);

    if (offset == 0 || view->span == 0)
        return NULL;
    OK(ctx, cla_buffer_create_zeroed(ctx, (size_t)view->span * sizeof(int32_t), &view->buffer));
    return view->buffer;
}

static void check_marks(clattn_buffer *marks)
{
    int32_t *values = memory_alloc(marks->bytes);

    OK(marks->ctx, clattn_buffer_read(marks, 0, values, marks->bytes));
    for (size_t i = 0; i < marks->bytes / sizeof *values; i++)
        ck_assert_msg(values[i] == 0, "%s: mark %zu is left as %d", compare_label_text(), i,
                      (int)values[i]);
    free(values);
    clattn_buffer_destroy(&marks);
}

static void launch(clattn_ctx *ctx, const cla_kernel *kernel, const void *problem, const int *t)
{
    const cla_kernel *parts[] = { kernel->before, kernel->before ? kernel->before->after : NULL,
                                  kernel, kernel->after };
    static const cla_events none = { 0 };
    cla_launch launches[4];
    void *any_mem = NULL;
    int n = 0;

    for (const cla_slot *slot = op_of(kernel)->slots; slot->name && !any_mem; slot++) {
        const cla_view *view = (const cla_view *)((const char *)problem + slot->offset);
        any_mem = view->buffer ? view->buffer->mem : NULL;
    }
    for (int i = 0; i < 4; i++)
        if (parts[i] && parts[i]->ok(&ctx->dev, problem, t))
            OK(ctx, cla_cl_launch_make(ctx, parts[i], problem, t, &launches[n++]));
    const clattn_status s = cla_cl_launch_run(ctx, launches, n, problem, any_mem, &none);
    for (int i = 0; i < n; i++)
        cla_cl_launch_free(&launches[i]);
    suite_expect(__FILE__, __LINE__, ctx, compare_label_text(), s, CLATTN_OK);
}

void kernel_run(clattn_ctx *ctx, const cla_kernel *kernel, const void *problem, const int *t)
{
    union {
        char bytes[CLA_MAX_PROBLEM];
        int64_t align;
    } copy;
    test_memory work = { .size = 0 };

    memcpy(copy.bytes, problem, op_of(kernel)->size);
    bind(ctx, kernel, copy.bytes, t, &work);
    clattn_buffer *marks = marks_of(ctx, kernel, copy.bytes);
    if (cla_kernel_is_native(kernel))
        OK(ctx, kernel->native(&ctx->cpu, copy.bytes, t));
    else
        launch(ctx, kernel, copy.bytes, t);
    if (work.bytes)
        memory_get(&work, "workspace", NULL);
    if (marks)
        check_marks(marks);
    memory_free(&work);
}

void kernel_wants(const cla_kernel *kernel, attn_spec *spec)
{
    spec->probs = kernel->stage == CLA_STAGE_PROBS;
    spec->stats = kernel->stage == CLA_STAGE_STATS;
    spec->argmax = kernel->stage == CLA_STAGE_ARGMAX;
    spec->lse = spec->lse || spec->probs;
}

void kernel_run_attention(clattn_ctx *ctx, const cla_kernel *kernel, attn_run *run,
                          const cla_attn *problem, const int *t)
{
    attn_run_poison(run);
    if (kernel->stage == CLA_STAGE_PROBS)
        attn_run_put_lse(run);
    kernel_run(ctx, kernel, problem, t);
    if (kernel->stage == CLA_STAGE_PROBS)
        attn_run_check_probs(run);
    else if (kernel->stage == CLA_STAGE_STATS)
        stats_run_check(run);
    else
        attn_run_check(run);
}
