/* SPDX-License-Identifier: Apache-2.0 */
/* Running plans. */
#include <string.h>

#include "plan.h"
#include "selfcheck.h"
#include "staging.h"

static cla_view *work_view(const cla_op *op, void *problem)
{
    return (cla_view *)((char *)problem + op->work);
}

/*
 * The workspace of this run: the caller's, else the plan's. Offsets in the problem count from its
 * start.
 */
static clattn_status attach_workspace(clattn_plan *plan, void *problem)
{
    clattn_ctx *ctx = plan->ctx;
    cla_view *work = work_view(plan->op, problem);
    int64_t first = 0;
    if (work->dtype != CLATTN_NONE) {
        CLA_REQUIRE(ctx, (size_t)work->span >= plan->workspace_bytes, CLATTN_ERR_SHAPE,
                    "%s: the workspace has %lld bytes, the plan needs %zu", plan->op->name,
                    (long long)work->span, plan->workspace_bytes);
        first = work->offset / (int64_t)sizeof(float);
    } else if (plan->workspace_bytes > 0) {
        if (!plan->workspace)
            CLA_TRY(clattn_buffer_create(ctx, plan->workspace_bytes, &plan->workspace));
        work->buffer = plan->workspace;
        work->host = plan->workspace->host;
    }
    if (plan->op->rebase)
        plan->op->rebase(problem, first);
    if (plan->op->marks)
        ((cla_view *)((char *)problem + plan->op->marks))->buffer = plan->marks;
    for (const cla_slot *slot = plan->op->slots; slot->name; slot++) {
        cla_view *view = cla_slot_view(slot, problem);
        if (view->in_work) {
            view->buffer = work->buffer;
            view->host = work->host;
            view->offset += first;
        }
    }
    return CLATTN_OK;
}

static clattn_status run_native(clattn_plan *plan, const void *problem)
{
    const cla_choice *choice = plan->choices, *end = choice + plan->num_choices;
    cla_cpu cpu = cla_cpu_begin(&plan->ctx->cpu);
    while (choice < end && choice->kernel->native(&cpu, problem, choice->t) == CLATTN_OK)
        choice++;
    cla_cpu_end();
    CLA_REQUIRE(plan->ctx, choice == end, CLATTN_ERR_MEMORY, "%s: out of host memory in %s",
                plan->op->name, choice->kernel->name);
    return CLATTN_OK;
}

static void *any_mem(const cla_op *op, void *problem)
{
    for (const cla_slot *slot = op->slots; slot->name; slot++) {
        const cla_view *view = cla_slot_view(slot, problem);
        if (view->buffer && view->buffer->mem)
            return view->buffer->mem;
    }
    return NULL;
}

static clattn_status run(clattn_plan *plan, void *problem, const cla_events *events)
{
    CLA_TRY(attach_workspace(plan, problem));
    if (!plan->ctx->cl)
        return run_native(plan, problem);
    return cla_cl_launch_run(plan->ctx, plan->launches, plan->num_launches, problem,
                             any_mem(plan->op, problem), events);
}

static clattn_status run_staged(clattn_plan *plan, void *problem, const cla_events *events)
{
    cla_staging staging;
    clattn_status s = cla_staging_in(plan->ctx, plan->op, problem, &staging);
    if (s == CLATTN_OK)
        s = run(plan, problem, events);
    if (s == CLATTN_OK)
        s = cla_staging_out(&staging);
    cla_staging_free(&staging);
    return s;
}

/* The caller's tensors with what the plan derived for its own copy. */
static void take_views(const clattn_plan *plan, const void *problem, void *copy)
{
    memcpy(copy, plan->problem, plan->op->size);
    for (const cla_slot *slot = plan->op->slots; slot->name; slot++) {
        cla_view *view = cla_slot_view(slot, copy);
        if (!view->in_work)
            *view = *(const cla_view *)((const char *)problem + slot->offset);
    }
    memcpy((char *)copy + plan->op->varies, (const char *)problem + plan->op->varies,
           plan->op->varies_size);
    *work_view(plan->op, copy) = *(const cla_view *)((const char *)problem + plan->op->work);
}

clattn_status cla_plan_execute_unchecked(clattn_plan *plan, const void *problem,
                                         const cla_events *events)
{
    cla_problem copy; /* buffers and offsets change from run to run, the plan does not */
    take_views(plan, problem, copy.bytes);
    const bool staged = cla_staging_needed(plan->ctx, plan->op, problem);
    CLA_REQUIRE(plan->ctx, !staged || !events->never_block, CLATTN_ERR_ARG,
                "%s: the enqueue form takes buffers, a tensor is host memory", plan->op->name);
    if (staged && plan->num_choices > 0)
        return run_staged(plan, copy.bytes, events);
    return run(plan, copy.bytes, events);
}

static clattn_status execute_checked(clattn_plan *plan, const void *problem,
                                     const cla_events *events)
{
    cla_selfcheck_run check;
    cla_problem copy;
    take_views(plan, problem, copy.bytes);
    clattn_status s = cla_selfcheck_begin(plan, copy.bytes, &check);
    if (s == CLATTN_OK)
        s = cla_plan_execute_unchecked(plan, problem, events);
    if (s == CLATTN_OK)
        s = cla_selfcheck_end(&check);
    cla_selfcheck_free(&check);
    return s;
}

clattn_status cla_plan_execute(clattn_plan *plan, const void *problem, const cla_events *events)
{
    return cla_selfcheck_due(plan, events) ? execute_checked(plan, problem, events)
                                           : cla_plan_execute_unchecked(plan, problem, events);
}

clattn_status cla_plan_enter(clattn_plan *plan, const cla_op *op)
{
    if (!plan)
        return CLATTN_ERR_ARG;
    CLA_TRY(cla_enter(plan->ctx));
    CLA_REQUIRE(plan->ctx, !op || plan->op == op, CLATTN_ERR_ARG,
                "the plan is of operation %s, the call is for %s", plan->op->name, op->name);
    return CLATTN_OK;
}

clattn_status cla_grow(const cla_growth *grow)
{
    if (!grow->kv)
        return CLATTN_OK;
    return grow->rows > 0 ? cla_kv_grow(grow->kv, grow->first, grow->count, grow->rows)
                          : cla_kv_tell(grow->kv);
}

void cla_ungrow(const cla_growth *grow)
{
    if (grow->kv && grow->rows > 0)
        cla_kv_undo(grow->kv);
}

/*
 * The parts of a plan of plans in order. The queue keeps them so; on an out-of-order queue, where
 * it does not, each is waited for.
 */
static clattn_status execute_parts(clattn_plan *plan, const cla_events *events)
{
    if (plan->ctx->cl && plan->num_parts == 0)
        return cla_cl_launch_run(plan->ctx, NULL, 0, NULL, NULL, events);
    for (int i = 0; i < plan->num_parts; i++) {
        cla_events some = { .never_block = events->never_block };
        if (i == 0)
            some.num_wait = events->num_wait, some.wait = events->wait;
        if (i == plan->num_parts - 1)
            some.out = events->out;
        CLA_TRY(cla_plan_execute(plan->parts[i], plan->parts[i]->problem, &some));
        if (i < plan->num_parts - 1)
            CLA_TRY(cla_cl_settle(plan->ctx));
    }
    return CLATTN_OK;
}

static clattn_status run_growing(clattn_plan *plan, const void *problem, const cla_growth *grow,
                                 const cla_events *events)
{
    CLA_TRY(cla_grow(grow));
    const clattn_status s = plan->problem ? cla_plan_execute(plan, problem, events)
                                          : execute_parts(plan, events);
    if (s != CLATTN_OK)
        cla_ungrow(grow);
    return s;
}

clattn_status cla_plan_run_on(clattn_plan *plan, const void *problem, const cla_growth *grow,
                              const cla_events *events)
{
    cla_problem key;
    cla_plan_key(plan->op, problem, &key);
    CLA_REQUIRE(plan->ctx, cla_plan_has_key(plan, plan->op, &key), CLATTN_ERR_SHAPE,
                "%s: shapes, strides, dtypes or options differ from those the plan was made with",
                plan->op->name);
    return run_growing(plan, problem, grow, events);
}

clattn_status cla_plan_run_own(clattn_plan *plan, const cla_events *events)
{
    return run_growing(plan, plan->problem, &plan->grow, events);
}

clattn_status clattn_plan_run(clattn_plan *plan)
{
    static const cla_events none = { 0 };
    CLA_TRY(cla_plan_enter(plan, NULL));
    return cla_plan_run_own(plan, &none);
}
