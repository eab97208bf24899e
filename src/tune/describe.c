/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels, their legal configurations and the caches of a context, for the public header. */
#include <clattn/tuning.h>
#include <string.h>

#include "opencl/runtime.h"
#include "plan.h"
#include "store.h"

_Static_assert(CLATTN_MAX_TUNABLES == CLA_MAX_TUNABLES && CLATTN_MAX_CHOICES == CLA_MAX_CHOICES,
               "the public sizes are those of the descriptors");

clattn_status clattn_kernel_describe(const char *name, clattn_kernel_info *info)
{
    const cla_kernel *kernel = name ? cla_kernel_find(name) : NULL;
    if (!kernel || !info || kernel->stage >= CLA_STAGE_HELPER)
        return CLATTN_ERR_ARG;
    *info = (clattn_kernel_info){
        .name = kernel->name,
        .operation = cla_stage_name(kernel->stage),
        .native = cla_kernel_is_native(kernel),
        .configs = 1,
        .num_tunables = cla_kernel_num_tunables(kernel),
    };
    cla_kernel_source_key(kernel, info->source);
    for (int i = 0; i < info->num_tunables; i++) {
        const cla_tunable *tunable = &kernel->tunables[i];
        int n = 0;
        while (n < CLA_MAX_CHOICES && tunable->choices[n])
            n++;
        info->tunables[i].name = tunable->name;
        info->tunables[i].count = n;
        memcpy(info->tunables[i].choices, tunable->choices, sizeof tunable->choices);
        info->configs *= n;
    }
    return CLATTN_OK;
}

int clattn_plan_legal_configs(const clattn_plan *plan)
{
    int t[CLA_MAX_TUNABLES], n = 0;
    if (!plan || plan->num_choices == 0)
        return 0;
    const cla_kernel *kernel = plan->choices[0].kernel;
    cla_config_first(kernel, t);
    do
        n += cla_kernel_legal(kernel, &plan->ctx->dev, plan->problem, t);
    while (cla_config_next(kernel, t));
    return n;
}

clattn_status clattn_ctx_cache(clattn_ctx *ctx, clattn_cache_info *info)
{
    CLA_TRY(cla_enter(ctx));
    CLA_REQUIRE(ctx, info, CLATTN_ERR_ARG, "clattn_ctx_cache: info is NULL");
    const cla_store *store = cla_ctx_store(ctx);
    CLA_REQUIRE(ctx, store, CLATTN_ERR_MEMORY, "out of host memory");
    *info = (clattn_cache_info){
        .device = cla_store_device(store)->device,
        .driver = cla_store_device(store)->driver,
        .kind = cla_store_device(store)->kind,
        .folder = cla_store_folder(store),
        .note = cla_store_note(store),
        .binaries = "",
        .binaries_note = "the native CPU compiles nothing",
    };
    info->results = cla_store_count(store, &info->quarantined);
    if (ctx->cl)
        cla_cl_binaries_describe(ctx, info);
    return CLATTN_OK;
}
