/* SPDX-License-Identifier: Apache-2.0 */
/* Status names and texts, the error sentence of a context, the log. */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>

#include "context.h"

const char *clattn_status_name(clattn_status status)
{
    switch (status) {
#define NAME(name, text)    \
    case CLATTN_##name:     \
        return "CLATTN_" #name;
        CLATTN_STATUS_LIST(NAME)
#undef NAME
    }
    return "CLATTN_UNKNOWN";
}

const char *clattn_status_text(clattn_status status)
{
    switch (status) {
#define TEXT(name, text)    \
    case CLATTN_##name:     \
        return text;
        CLATTN_STATUS_LIST(TEXT)
#undef TEXT
    }
    return "not a status of this library";
}

const char *clattn_version(void)
{
    return CLATTN_VERSION_STRING;
}

const char *clattn_error(const clattn_ctx *ctx)
{
    return ctx ? ctx->error : "";
}

void cla_log(const clattn_ctx *ctx, clattn_log_level level, const char *fmt, ...)
{
    if (!ctx || !ctx->log || (level > ctx->log_level && level != CLATTN_LOG_ERROR))
        return;
    char line[sizeof ctx->error];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    ctx->log(ctx->log_user, level, line);
}

clattn_status cla_fail(clattn_ctx *ctx, clattn_status code, const char *fmt, ...)
{
    if (!ctx)
        return code;
    va_list args;
    va_start(args, fmt);
    vsnprintf(ctx->error, sizeof ctx->error, fmt, args);
    va_end(args);
    cla_log(ctx, CLATTN_LOG_ERROR, "%s", ctx->error);
    return code;
}
