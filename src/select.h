/* SPDX-License-Identifier: Apache-2.0 */
/* Which device a selector means. */
#ifndef CLA_SELECT_H
#define CLA_SELECT_H

#include "opencl/runtime.h"

/*
 * selector as in clattn_ctx_params.device; NULL is "the best". out->device is NULL for the native
 * CPU. Error sentences list what there is.
 */
clattn_status cla_select_device(clattn_ctx *ctx, const char *selector, cla_cl_device *out);

#endif
