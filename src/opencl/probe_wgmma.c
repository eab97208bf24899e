/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix unit of warpgroups. What the driver says of its chip narrows the question, so that no
 * other device builds a thing for it; the answer is products that came out right.
 */
#include <stdio.h>

#include "kernels/wgmma.h"
#include "probe.h"

/* As in CL/cl_ext.h. The chip whose instructions the target sm_90a adds: no other has them, be it
 * newer. */
enum { COMPUTE_CAPABILITY_MAJOR = 0x4000, COMPUTE_CAPABILITY_MINOR = 0x4001, MAJOR = 9, MINOR = 0 };

extern const cla_blob cla_src_prelude_clh, cla_src_probe_wgmma;

static bool is_number(clattn_ctx *ctx, cl_device_info what, cl_uint wanted)
{
    cl_uint value = 0;
    return clGetDeviceInfo(ctx->cl->device, what, sizeof value, &value, NULL) == CL_SUCCESS
        && value == wanted;
}

static bool may_have(clattn_ctx *ctx)
{
    return cla_cl_lists(ctx, "cl_nv_device_attribute_query")
        && is_number(ctx, COMPUTE_CAPABILITY_MAJOR, MAJOR)
        && is_number(ctx, COMPUTE_CAPABILITY_MINOR, MINOR);
}

void cla_cl_probe_wgmma(clattn_ctx *ctx, cla_dev *dev)
{
    enum { CONSUMERS = 256, ITEMS = 384 };
    const cla_probe what = { "probe_wgmma",
                             { &cla_src_prelude_clh, CLA_WGMMA_PARTS, &cla_src_probe_wgmma },
                             "-cl-std=CL1.2 -DUNIT=2 -DIN_TYPE=2", { 1.5f }, ITEMS, 0, true };
    cl_uint right;
    char why[80];
    if (!may_have(ctx))
        return;
    if (cla_cl_try_probe(ctx, &what, &right) != CLATTN_OK) {
        cla_dev_lose_wgmma(dev, ctx->error);
        ctx->error[0] = '\0';
    } else if (right != CONSUMERS) {
        snprintf(why, sizeof why, "%u of %d work-items have the right products", (unsigned)right,
                 CONSUMERS);
        cla_dev_lose_wgmma(dev, why);
    } else {
        dev->caps |= CLA_CAP_WGMMA;
        dev->declared_local = CLA_WGMMA_LOCAL;
    }
}
