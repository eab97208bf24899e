/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plan order: pinned, tuned for this bucket, tuned for the nearest one, shipped, estimate, safe.
 * Kernels that no result names are tried by the priority their descriptors give them for this
 * device and problem.
 */
#include "dispatch.h"

#include <string.h>

#include "tune/store.h"

const char *cla_origin_name(cla_origin origin)
{
    static const char *const names[] = { "none", "pinned",   "tuned", "near",
                                         "shipped", "estimate", "safe" };
    return names[origin];
}

/* One choice to be made: everything the steps below look at. */
typedef struct question {
    const cla_dev *dev;
    const cla_store *store;
    const void *problem;
    cla_bucket bucket;
} question;

static question ask(clattn_ctx *ctx, cla_stage stage, const void *problem)
{
    question q = { .dev = &ctx->dev, .problem = problem };
    if (ctx->effort != CLATTN_EFFORT_OFF)
        q.store = cla_ctx_store(ctx);
    cla_bucket_of(q.dev, stage, problem, &q.bucket);
    return q;
}

static bool usable(const question *q, const cla_kernel *kernel, const int *t)
{
    return cla_kernel_legal(kernel, q->dev, q->problem, t)
        && !cla_store_quarantined(q->store, kernel, t);
}

/* The best stored result that is legal for this very problem. only: of one kernel, NULL: of all. */
static bool recall(const question *q, const cla_kernel *only, cla_choice *out)
{
    enum { MOST = 8 };
    static const cla_origin origins[] = {
        [CLA_FROM_BUCKET] = CLA_ORIGIN_TUNED,
        [CLA_FROM_NEAR] = CLA_ORIGIN_NEAR,
        [CLA_FROM_SHIPPED] = CLA_ORIGIN_SHIPPED,
    };
    cla_tuned found[MOST];
    for (cla_source from = CLA_FROM_BUCKET; from <= CLA_FROM_SHIPPED; from++) {
        const int n = cla_store_find(q->store, from, &q->bucket, only, found, MOST);
        for (int i = 0; i < n; i++) {
            const cla_kernel *kernel = found[i].kernel;
            if ((!only && kernel->priority(q->dev, q->problem) < 0)
                || !usable(q, kernel, found[i].t))
                continue;
            out->kernel = kernel;
            memcpy(out->t, found[i].t, sizeof out->t);
            out->origin = origins[from];
            return true;
        }
    }
    return false;
}

/* A stored result, the estimate, the safe configuration, the first legal one. False: none is. */
static bool configure(const question *q, const cla_kernel *kernel, cla_choice *out)
{
    if (recall(q, kernel, out))
        return true;
    out->kernel = kernel;
    if (kernel->estimate) {
        kernel->estimate(q->dev, q->problem, out->t);
        out->origin = CLA_ORIGIN_ESTIMATE;
        if (usable(q, kernel, out->t))
            return true;
    }
    out->origin = CLA_ORIGIN_SAFE;
    cla_kernel_safe_config(kernel, out->t);
    if (usable(q, kernel, out->t))
        return true;
    cla_config_first(kernel, out->t);
    do
        if (usable(q, kernel, out->t))
            return true;
    while (cla_config_next(kernel, out->t));
    return false;
}

static clattn_status pinned(clattn_ctx *ctx, const char *op, cla_stage stage, const void *problem,
                            const cla_pin *pin, cla_choice *out)
{
    const cla_kernel *kernel = cla_kernel_find(pin->kernel);
    CLA_REQUIRE(ctx, kernel && kernel->stage == stage, CLATTN_ERR_ARG,
                "%s: there is no kernel \"%.64s\" for it", op, pin->kernel);
    bool legal;
    if (pin->t) {
        out->kernel = kernel;
        memcpy(out->t, pin->t, sizeof out->t);
        legal = cla_kernel_legal(kernel, &ctx->dev, problem, out->t);
    } else {
        const question q = ask(ctx, stage, problem);
        legal = configure(&q, kernel, out);
    }
    out->origin = CLA_ORIGIN_PINNED;
    CLA_REQUIRE(ctx, legal, CLATTN_ERR_UNSUPPORTED,
                "%s: kernel %s cannot do this problem on %s (%s)", op, kernel->name,
                ctx->dev.info.name, ctx->dev.info.platform);
    return CLATTN_OK;
}

clattn_status cla_dispatch(clattn_ctx *ctx, const char *op, cla_stage stage, const void *problem,
                           const cla_pin *pin, cla_choice *out)
{
    if (pin->kernel)
        return pinned(ctx, op, stage, problem, pin, out);
    const question q = ask(ctx, stage, problem);
    if (recall(&q, NULL, out))
        return CLATTN_OK;
    int best = -1;
    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *kernel = cla_kernels[i];
        cla_choice choice;
        if (kernel->stage != stage || !cla_kernel_is_for(kernel, &ctx->dev))
            continue;
        const int priority = kernel->priority(&ctx->dev, problem);
        if (priority > best && configure(&q, kernel, &choice)) {
            best = priority;
            *out = choice;
        }
    }
    CLA_REQUIRE(ctx, best >= 0, CLATTN_ERR_UNSUPPORTED, "%s: no kernel can do this problem on %s",
                op, ctx->dev.info.name);
    return CLATTN_OK;
}
