/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plan order: pinned, estimate, safe. Kernels are tried by the priority their descriptors give
 * them for this device and problem.
 */
#include "dispatch.h"

#include <string.h>

const char *cla_origin_name(cla_origin origin)
{
    static const char *const names[] = { "none", "pinned", "estimate", "safe" };
    return names[origin];
}

/* The estimate, else the safe configuration, else the first legal one. False: none is legal. */
static bool configure(const cla_dev *dev, const cla_kernel *kernel, const void *problem,
                      cla_choice *out)
{
    out->kernel = kernel;
    if (kernel->estimate) {
        kernel->estimate(dev, problem, out->t);
        out->origin = CLA_ORIGIN_ESTIMATE;
        if (cla_kernel_legal(kernel, dev, problem, out->t))
            return true;
    }
    out->origin = CLA_ORIGIN_SAFE;
    cla_kernel_safe_config(kernel, out->t);
    if (cla_kernel_legal(kernel, dev, problem, out->t))
        return true;
    cla_config_first(kernel, out->t);
    do
        if (cla_kernel_legal(kernel, dev, problem, out->t))
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
        legal = configure(&ctx->dev, kernel, problem, out);
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
    int best = -1;
    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *kernel = cla_kernels[i];
        cla_choice choice;
        if (kernel->stage != stage)
            continue;
        const int priority = kernel->priority(&ctx->dev, problem);
        if (priority > best && configure(&ctx->dev, kernel, problem, &choice)) {
            best = priority;
            *out = choice;
        }
    }
    CLA_REQUIRE(ctx, best >= 0, CLATTN_ERR_UNSUPPORTED, "%s: no kernel can do this problem on %s",
                op, ctx->dev.info.name);
    return CLATTN_OK;
}
