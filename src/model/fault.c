/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

bool clm_fail(clm_fault *f, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, args);
    va_end(args);
    f->device = false;
    return false;
}

bool clm_check(clm_fault *f, const clattn_ctx *ctx, clattn_status status)
{
    if (status == CLATTN_OK)
        return true;
    const char *text = clattn_error(ctx);
    clm_fail(f, "%s", *text ? text : clattn_status_text(status));
    f->device = status == CLATTN_ERR_DEVICE;
    return false;
}

bool clm_out_of_memory(clm_fault *f)
{
    return clm_fail(f, "out of host memory");
}
