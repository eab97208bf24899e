/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix unit of warpgroups. What the driver says of its chip narrows the question, so that no
 * other device builds a thing for it; the answer is products that came out right.
 */
#include <stdio.h>

#include "kernels/wgmma.h"
#include "probe.h"

/* The chip whose instructions the target sm_90a adds: no other has them, be it newer. */
enum { MAJOR = 9, MINOR = 0 };

static bool may_have(clattn_ctx *ctx)
{
    return cla_cl_lists(ctx, "cl_nv_device_attribute_query")
        && cla_cl_number(ctx, CLA_CL_CAPABILITY_MAJOR) == MAJOR
        && cla_cl_number(ctx, CLA_CL_CAPABILITY_MINOR) == MINOR;
}

void cla_cl_probe_wgmma(clattn_ctx *ctx, cla_dev *dev)
{
    cla_probe what;
    cl_uint right;
    char why[80];
    if (!may_have(ctx))
        return;
    cla_wgmma_probe(&what);
    if (cla_cl_try_probe(ctx, &what, &right) != CLATTN_OK) {
        cla_dev_lose_wgmma(dev, ctx->error);
        ctx->error[0] = '\0';
    } else if (right != CLA_WGMMA_PROBE_ITEMS) {
        snprintf(why, sizeof why, "%u of %d work-items have the right products", (unsigned)right,
                 CLA_WGMMA_PROBE_ITEMS);
        cla_dev_lose_wgmma(dev, why);
    } else {
        dev->caps |= CLA_CAP_WGMMA;
        dev->declared_local = CLA_WGMMA_LOCAL;
    }
}
