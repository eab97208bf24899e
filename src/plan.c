/* SPDX-License-Identifier: Apache-2.0 */
/* Making and describing plans; running them is in execute.c. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "tensor.h"
#include "tune/op_tuning.h"
#include "tune/tune.h"

static bool stage_wanted(const cla_op_stage *stage, const void *problem)
{
    return !stage->wanted || stage->wanted(problem);
}

static clattn_status choose(clattn_plan *plan, const cla_pin *pin)
{
    static const cla_pin no_pin = { NULL, NULL };
    const cla_op *op = plan->op;
    for (int i = 0; i < op->num_stages; i++)
        if (stage_wanted(&op->stages[i], plan->problem)) {
            const cla_pin *wish = plan->num_choices == 0 ? pin : &no_pin;
            CLA_TRY(cla_dispatch(plan->ctx, op->name, op->stages[i].stage, plan->problem, wish,
                                 &plan->choices[plan->num_choices]));
            plan->num_choices++;
        }
    return CLATTN_OK;
}

static size_t align_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Derived fields of the problem, and the workspace: the kernels' share, then views in it. */
static void lay_out(clattn_plan *plan)
{
    size_t bytes = 0;
    for (int i = 0; i < plan->num_choices; i++) {
        const cla_choice *choice = &plan->choices[i];
        if (choice->kernel->bind)
            bytes += align_up(choice->kernel->bind(plan->problem, choice->t));
    }
    for (const cla_slot *slot = plan->op->slots; slot->name; slot++) {
        cla_view *view = cla_slot_view(slot, plan->problem);
        if (view->in_work) {
            view->offset = (int64_t)(bytes / sizeof(float));
            bytes += align_up((size_t)view->span * sizeof(float));
        }
    }
    plan->workspace_bytes = bytes;
}

static clattn_status add_launch(clattn_plan *plan, const cla_kernel *kernel, const int *t)
{
    if (!kernel || !kernel->ok(&plan->ctx->dev, plan->problem, t))
        return CLATTN_OK;
    CLA_TRY(cla_cl_launch_make(plan->ctx, kernel, plan->problem, t,
                               &plan->launches[plan->num_launches]));
    plan->num_launches++;
    return CLATTN_OK;
}

/* The helper before a kernel, and what follows that helper. */
static clattn_status add_before(clattn_plan *plan, const cla_kernel *kernel, const int *t)
{
    CLA_TRY(add_launch(plan, kernel->before, t));
    return add_launch(plan, kernel->before ? kernel->before->after : NULL, t);
}

static clattn_status compile_choice(clattn_plan *plan, const cla_choice *choice)
{
    CLA_TRY(add_before(plan, choice->kernel, choice->t));
    CLA_TRY(add_launch(plan, choice->kernel, choice->t));
    return add_launch(plan, choice->kernel->after, choice->t);
}

/* *at: the choice that fails. */
static clattn_status compile(clattn_plan *plan, const cla_choice **at)
{
    const cla_choice *end = plan->choices + (plan->ctx->cl ? plan->num_choices : 0);
    for (*at = plan->choices; *at < end; (*at)++)
        CLA_TRY(compile_choice(plan, *at));
    return CLATTN_OK;
}

/*
 * A context that may search does so for problems of which nothing is stored. That it cannot is no
 * reason to fail.
 */
static void search_first(clattn_plan *plan)
{
    clattn_ctx *ctx = plan->ctx;
    const struct clattn_tune_params params = { .struct_size = sizeof params,
                                               .effort = ctx->effort };
    clattn_tune_report report = { .end = CLATTN_TUNE_STOPPED };
    if (cla_tune(ctx, plan->op, plan->problem, &params, &report) != CLATTN_OK)
        cla_log(ctx, CLATTN_LOG_WARN, "%s is not tuned: %s", plan->op->name, ctx->error);
}

static clattn_status choose_well(clattn_plan *plan, const cla_pin *pin)
{
    CLA_TRY(choose(plan, pin));
    const cla_origin origin = plan->choices[0].origin;
    if (plan->ctx->effort < CLATTN_EFFORT_QUICK || origin == CLA_ORIGIN_PINNED
        || origin == CLA_ORIGIN_TUNED || !cla_op_tunable(plan->op, plan->problem))
        return CLATTN_OK;
    search_first(plan);
    plan->num_choices = 0;
    return choose(plan, pin);
}

static void free_launches(clattn_plan *plan)
{
    for (int i = 0; i < plan->num_launches; i++)
        cla_cl_launch_free(&plan->launches[i]);
    plan->num_launches = 0;
}

/*
 * A driver may build the probe of the matrix unit and not a kernel on it: then the device does
 * without the unit from now on. False: what failed is no kernel on it, or was chosen by name.
 */
static bool lose_unit(clattn_ctx *ctx, const cla_choice *failed)
{
    if (!(failed->kernel->needs & CLA_CAP_WGMMA) || failed->origin == CLA_ORIGIN_PINNED)
        return false;
    cla_log(ctx, CLATTN_LOG_WARN, "kernels on the matrix unit are not used: %s", ctx->error);
    cla_dev_lose_wgmma(&ctx->dev, ctx->error);
    ctx->error[0] = '\0';
    return true;
}

static clattn_status choose_and_compile(clattn_plan *plan, const cla_pin *pin)
{
    const cla_choice *at;
    clattn_status s;
    do {
        free_launches(plan);
        plan->num_choices = 0;
        CLA_TRY(choose_well(plan, pin));
        lay_out(plan);
        s = compile(plan, &at);
    } while (s == CLATTN_ERR_BUILD && lose_unit(plan->ctx, at));
    return s;
}

/*
 * Marks are no part of the workspace, which the caller may bring with anything in it, and share
 * between plans.
 */
static clattn_status make_marks(clattn_plan *plan)
{
    const cla_view *view = (const cla_view *)((const char *)plan->problem + plan->op->marks);
    if (plan->op->marks == 0 || view->span == 0)
        return CLATTN_OK;
    return cla_buffer_create_zeroed(plan->ctx, (size_t)view->span * sizeof(int32_t), &plan->marks);
}

static clattn_status prepare(clattn_plan *plan, const cla_pin *pin)
{
    if (plan->op->empty(plan->problem))
        return CLATTN_OK;
    CLA_TRY(choose_and_compile(plan, pin));
    CLA_TRY(make_marks(plan));
    cla_config_text(plan->choices[0].kernel, plan->choices[0].t, plan->config, sizeof plan->config);
    const cla_view *work = (const cla_view *)((const char *)plan->problem + plan->op->work);
    if (work->dtype == CLATTN_NONE && plan->workspace_bytes > 0)
        CLA_TRY(clattn_buffer_create(plan->ctx, plan->workspace_bytes, &plan->workspace));
    return CLATTN_OK;
}

void cla_plan_hold_buffers(clattn_plan *plan)
{
    for (const cla_slot *slot = plan->op->slots; slot->name; slot++) {
        const cla_view *view = cla_slot_view(slot, plan->problem);
        if (view->buffer)
            view->buffer->refs++;
    }
    plan->holds_buffers = true;
}

static void drop_buffers(clattn_plan *plan)
{
    if (!plan->holds_buffers)
        return;
    for (const cla_slot *slot = plan->op->slots; slot->name; slot++)
        clattn_buffer_destroy(&cla_slot_view(slot, plan->problem)->buffer);
}

void cla_plan_key(const cla_op *op, const void *problem, void *key)
{
    memcpy(key, problem, op->size);
    for (const cla_slot *slot = op->slots; slot->name; slot++) {
        cla_view *view = cla_slot_view(slot, key);
        view->buffer = NULL;
        view->host = NULL;
        view->offset = 0;
    }
    memset((char *)key + op->work, 0, sizeof(cla_view));
    memset((char *)key + op->varies, 0, op->varies_size);
}

bool cla_plan_has_key(const clattn_plan *plan, const cla_op *op, const void *key)
{
    return plan->op == op && memcmp(key, plan->key, op->size) == 0;
}

clattn_status cla_plan_new(clattn_ctx *ctx, const cla_op *op, clattn_plan **out)
{
    *out = calloc(1, sizeof **out);
    CLA_REQUIRE(ctx, *out, CLATTN_ERR_MEMORY, "%s: out of host memory for a plan", op->name);
    (*out)->ctx = cla_ctx_retain(ctx);
    (*out)->op = op;
    return CLATTN_OK;
}

clattn_status cla_plan_make(clattn_ctx *ctx, const cla_op *op, const void *problem,
                            const cla_pin *pin, clattn_plan **out)
{
    clattn_plan *plan;
    *out = NULL;
    CLA_TRY(cla_plan_new(ctx, op, &plan));
    plan->problem = malloc(op->size);
    plan->key = malloc(op->size);
    clattn_status s = CLATTN_OK;
    if (plan->problem && plan->key) {
        memcpy(plan->problem, problem, op->size);
        cla_plan_key(op, problem, plan->key);
        s = prepare(plan, pin);
    } else {
        s = cla_fail(ctx, CLATTN_ERR_MEMORY, "%s: out of host memory for a plan", op->name);
    }
    if (s != CLATTN_OK)
        clattn_plan_destroy(&plan);
    *out = plan;
    return s;
}

void clattn_plan_destroy(clattn_plan **plan_ptr)
{
    if (!plan_ptr || !*plan_ptr)
        return;
    clattn_plan *plan = *plan_ptr;
    for (int i = 0; i < plan->num_parts; i++)
        clattn_plan_destroy(&plan->parts[i]);
    if (plan->ctx->pid == getpid())
        free_launches(plan);
    clattn_buffer_destroy(&plan->workspace);
    clattn_buffer_destroy(&plan->marks);
    drop_buffers(plan);
    free(plan->problem);
    free(plan->key);
    cla_ctx_release(plan->ctx);
    free(plan);
    *plan_ptr = NULL;
}

/* Of a plan of plans: everything together, under the name of the main one. */
static clattn_status describe_parts(const clattn_plan *plan, clattn_plan_info *info)
{
    *info = (clattn_plan_info){ .kernel = "none", .config = "",
                                .origin = cla_origin_name(CLA_ORIGIN_NONE) };
    if (plan->num_parts > 0)
        CLA_TRY(clattn_plan_describe(plan->parts[plan->main_part], info));
    info->workspace_bytes = plan->workspace_bytes;
    info->flops = info->bytes = 0;
    for (int i = 0; i < plan->num_parts; i++) {
        clattn_plan_info part;
        CLA_TRY(clattn_plan_describe(plan->parts[i], &part));
        info->workspace_bytes += part.workspace_bytes;
        info->flops += part.flops;
        info->bytes += part.bytes;
    }
    info->intensity = info->bytes > 0 ? info->flops / info->bytes : 0;
    return CLATTN_OK;
}

clattn_status clattn_plan_describe(const clattn_plan *plan, clattn_plan_info *info)
{
    if (!plan || !info)
        return CLATTN_ERR_ARG;
    if (!plan->problem)
        return describe_parts(plan, info);
    const cla_work cost = plan->cost;
    const bool idle = plan->num_choices == 0;
    *info = (clattn_plan_info){
        .kernel = idle ? "none" : plan->choices[0].kernel->name,
        .config = plan->config,
        .origin = cla_origin_name(idle ? CLA_ORIGIN_NONE : plan->choices[0].origin),
        .workspace_bytes = plan->workspace_bytes,
        .flops = cost.flops,
        .bytes = cost.bytes,
        .intensity = cost.bytes > 0 ? cost.flops / cost.bytes : 0,
    };
    return CLATTN_OK;
}

static bool same_view(const cla_view *a, const cla_view *b)
{
    return a->buffer == b->buffer && a->host == b->host && a->offset == b->offset
        && a->dtype == b->dtype && memcmp(a->shape, b->shape, sizeof a->shape) == 0
        && memcmp(a->stride, b->stride, sizeof a->stride) == 0;
}

static bool may_overlap(const cla_op *op, const cla_slot *a, const cla_slot *b, void *problem)
{
    return a == b
        || (op->in_place && op->in_place(a, b)
            && same_view(cla_slot_view(a, problem), cla_slot_view(b, problem)))
        || !cla_views_overlap(cla_slot_view(a, problem), cla_slot_view(b, problem));
}

clattn_status cla_check_overlap(clattn_ctx *ctx, const cla_op *op, void *problem)
{
    for (const cla_slot *a = op->slots; a->name; a++)
        for (const cla_slot *b = op->slots; a->written && b->name; b++)
            CLA_REQUIRE(ctx, may_overlap(op, a, b, problem), CLATTN_ERR_ARG,
                        "%s: output %s overlaps %s in memory", op->name, a->name, b->name);
    return CLATTN_OK;
}
