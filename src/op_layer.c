/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"
clattn_status clattn_layer(clattn_ctx *ctx, const struct clattn_layer_params *params)
{
    (void)ctx; (void)params;
    return CLATTN_ERR_UNSUPPORTED;
}
clattn_status clattn_plan_layer(clattn_ctx *ctx, const struct clattn_layer_params *params, clattn_plan **out)
{
    (void)ctx; (void)params; (void)out;
    return CLATTN_ERR_UNSUPPORTED;
}
