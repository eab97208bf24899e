/* SPDX-License-Identifier: Apache-2.0 */
#include "selfcheck.h"

#include <stdlib.h>
#include <string.h>

#include "tensor.h"
#include "tune/op_tuning.h"
#include "tune/stopwatch.h"

/* Time without a check after one, in its lengths; at random between these, so that a loop over
 * several plans has each of them looked at. */
#define PAUSE_LEAST 24
#define PAUSE_MOST 40

clattn_status cla_selfcheck_configure(clattn_ctx *ctx, const char *wish)
{
    const bool sample = wish && strcmp(wish, "sample") == 0;
    CLA_REQUIRE(ctx, !wish || sample || strcmp(wish, "off") == 0, CLATTN_ERR_ARG,
                "CLATTN_CHECK is \"%.64s\", must be off or sample", wish);
    ctx->check = (cla_selfcheck){ .on = sample, .random = (uint64_t)(cla_seconds() * 1e9) };
    return CLATTN_OK;
}

bool cla_selfcheck_due(const clattn_plan *plan, const cla_events *events)
{
    return plan->ctx->check.on && !events->never_block && plan->num_choices > 0 && plan->op->tuning
           && (!plan->checked || cla_seconds() >= plan->ctx->check.next);
}

/* A copy of the view's memory; the view moves there. */
static clattn_status keep(cla_selfcheck_run *run, cla_view *view)
{
    const size_t size = clattn_dtype_size((clattn_dtype)view->dtype);
    const size_t bytes = (size_t)view->span * size, first = (size_t)view->offset * size;
    void *copy = malloc(bytes);
    if (!copy) {
        run->blind = true;
        return CLATTN_OK;
    }
    run->copies[run->count++] = copy;
    if (view->host)
        memcpy(copy, (const char *)view->host + first, bytes);
    else
        CLA_TRY(clattn_buffer_read(view->buffer, first, copy, bytes));
    view->host = copy;
    view->buffer = NULL;
    view->offset = 0;
    return CLATTN_OK;
}

static bool is_present(const cla_view *view)
{
    return view->span > 0 && !view->in_work;
}

static bool is_overwritten(const cla_op *op, void *problem, const cla_slot *input)
{
    const cla_view *view = cla_slot_view(input, problem);
    if (input->written || !is_present(view))
        return false;
    for (const cla_slot *slot = op->slots; slot->name; slot++) {
        const cla_view *other = cla_slot_view(slot, problem);
        if (slot->written && is_present(other) && cla_views_overlap(view, other))
            return true;
    }
    return false;
}

clattn_status cla_selfcheck_begin(clattn_plan *plan, const void *problem, cla_selfcheck_run *run)
{
    const cla_op *op = plan->op;
    const double start = cla_seconds();
    cla_problem before;
    *run = (cla_selfcheck_run){ .plan = plan };
    memcpy(before.bytes, problem, op->size);
    memcpy(run->host.bytes, problem, op->size);
    for (const cla_slot *slot = op->slots; slot->name; slot++)
        if (is_overwritten(op, before.bytes, slot))
            CLA_TRY(keep(run, cla_slot_view(slot, run->host.bytes)));
    run->seconds = cla_seconds() - start;
    return CLATTN_OK;
}

static clattn_status judge(cla_selfcheck_run *run)
{
    const cla_op *op = run->plan->op;
    clattn_ctx *ctx = run->plan->ctx;
    const cla_choice *choice = &run->plan->choices[0];
    char why[256] = "out of host memory for copies of its tensors";
    for (const cla_slot *slot = op->slots; slot->name && !run->blind; slot++) {
        cla_view *view = cla_slot_view(slot, run->host.bytes);
        if (is_present(view) && !view->host)
            CLA_TRY(keep(run, view));
    }
    const cla_judge rules = {
        .seed = ctx->check.random, .why = why, .size = sizeof why, .blind = &run->blind, .rows = 1
    };
    if (!run->blind && op->tuning->holds(run->host.bytes, &rules))
        return CLATTN_OK;
    CLA_REQUIRE(ctx, run->blind, CLATTN_ERR_CHECK, "%s: kernel %s (%s) computed wrongly on %s: %s",
                op->name, choice->kernel->name, run->plan->config, ctx->dev.info.name, why);
    cla_log(ctx, CLATTN_LOG_WARN, "%s: a result is not checked: %s", op->name, why);
    return CLATTN_OK;
}

clattn_status cla_selfcheck_end(cla_selfcheck_run *run)
{
    clattn_ctx *ctx = run->plan->ctx;
    CLA_TRY(clattn_finish(ctx)); /* the time of the run itself is none of ours */
    const double start = cla_seconds();
    const clattn_status s = judge(run);
    const double end = cla_seconds(), took = run->seconds + end - start;
    run->plan->checked = true;
    ctx->check.random = ctx->check.random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    ctx->check.next =
        end + took * (double)(PAUSE_LEAST + (ctx->check.random >> 33) % (PAUSE_MOST - PAUSE_LEAST));
    return s;
}

void cla_selfcheck_free(cla_selfcheck_run *run)
{
    for (int i = 0; i < run->count; i++)
        free(run->copies[i]);
    run->count = 0;
}
