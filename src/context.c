/* SPDX-License-Identifier: Apache-2.0 */
/* Creating and destroying contexts. */
#include "context.h"

#include <stdlib.h>
#include <unistd.h>

#include "env.h"
#include "opencl/runtime.h"
#include "params.h"
#include "plan.h"
#include "select.h"
#include "selfcheck.h"
#include "tune/store.h"

clattn_status cla_enter(clattn_ctx *ctx)
{
    if (!ctx)
        return CLATTN_ERR_ARG;
    CLA_REQUIRE(ctx, ctx->pid == getpid(), CLATTN_ERR_DEVICE,
                "this context was made by process %ld and cannot be used after fork() in process "
                "%ld; create one here",
                (long)ctx->pid, (long)getpid());
    return CLATTN_OK;
}

clattn_ctx *cla_ctx_new(const struct clattn_ctx_params *params)
{
    clattn_ctx *ctx = calloc(1, sizeof *ctx);
    if (!ctx)
        return NULL;
    ctx->refs = 1;
    ctx->pid = getpid();
    if (params && params->struct_size >= sizeof *params) {
        ctx->log = params->log;
        ctx->log_user = params->log_user;
        ctx->log_level = params->log_level;
    }
    return ctx;
}

clattn_ctx *cla_ctx_retain(clattn_ctx *ctx)
{
    ctx->refs++;
    return ctx;
}

void cla_ctx_release(clattn_ctx *ctx)
{
    if (!ctx || --ctx->refs > 0)
        return;
    cla_cl_close(&ctx->cl, ctx->pid != getpid());
    cla_store_free(&ctx->store);
    free(ctx);
}

static clattn_status open_native(clattn_ctx *ctx, const struct clattn_ctx_params *params)
{
    const cla_env env = cla_env_read();
    ctx->cpu = cla_cpu_of(params->num_threads ? params->num_threads : env.num_threads, env.isa);
    ctx->dev = (cla_dev){ .caps = 0 };
    cla_cpu_probe(&ctx->cpu, &ctx->dev);
    return CLATTN_OK;
}

static clattn_status create(clattn_ctx *ctx, const struct clattn_ctx_params *user)
{
    struct clattn_ctx_params params = { .struct_size = sizeof params };
    if (user)
        CLA_TRY(cla_params_read(ctx, "clattn_ctx_create", &params, sizeof params, user));
    CLA_REQUIRE(ctx, params.num_threads >= 0 && params.num_threads <= 1024, CLATTN_ERR_ARG,
                "clattn_ctx_create: num_threads is %d, must be 0 to 1024", params.num_threads);
    CLA_REQUIRE(ctx,
                params.effort >= CLATTN_EFFORT_OFF && params.effort <= CLATTN_EFFORT_EXHAUSTIVE,
                CLATTN_ERR_ARG, "clattn_ctx_create: effort is %d, must be %d to %d",
                (int)params.effort, (int)CLATTN_EFFORT_OFF, (int)CLATTN_EFFORT_EXHAUSTIVE);
    ctx->effort = params.effort;
    ctx->num_threads = params.num_threads;
    const cla_env env = cla_env_read();
    CLA_TRY(cla_selfcheck_configure(ctx, env.check));
    const char *selector = params.device && params.device[0] ? params.device : env.device;

    cla_cl_device chosen;
    CLA_TRY(cla_select_device(ctx, selector, &chosen));
    if (!chosen.device)
        return open_native(ctx, &params);
    const clattn_status s = cla_cl_open(ctx, &chosen);
    if (s == CLATTN_OK || selector)
        return s;
    /* Nobody asked for this device by name: the next best is better than none. */
    cla_log(ctx, CLATTN_LOG_WARN, "%s; going on with the native CPU", ctx->error);
    cla_cl_close(&ctx->cl, false);
    return open_native(ctx, &params);
}

clattn_status clattn_ctx_create(const struct clattn_ctx_params *params, clattn_ctx **out)
{
    if (!out)
        return CLATTN_ERR_ARG;
    *out = NULL;
    clattn_ctx *ctx = cla_ctx_new(params);
    if (!ctx)
        return CLATTN_ERR_MEMORY;
    const clattn_status s = create(ctx, params);
    if (s != CLATTN_OK) {
        cla_ctx_release(ctx);
        return s;
    }
    cla_log(ctx, CLATTN_LOG_INFO, "opened %s (%s)", ctx->dev.info.name, ctx->dev.info.platform);
    *out = ctx;
    return CLATTN_OK;
}

void clattn_ctx_destroy(clattn_ctx **ctx)
{
    if (!ctx || !*ctx)
        return;
    if ((*ctx)->cl && (*ctx)->pid == getpid())
        cla_cl_finish(*ctx);
    cla_plan_cache_free(&(*ctx)->plans);
    cla_ctx_release(*ctx);
    *ctx = NULL;
}

const clattn_device_info *clattn_ctx_device(const clattn_ctx *ctx)
{
    return ctx ? &ctx->dev.info : NULL;
}

clattn_status clattn_finish(clattn_ctx *ctx)
{
    CLA_TRY(cla_enter(ctx));
    return ctx->cl ? cla_cl_finish(ctx) : CLATTN_OK;
}
