/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory: a cl_mem, or host memory on the native CPU. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "memory.h"
#include "opencl/runtime.h"

static clattn_status native_memory(clattn_ctx *ctx, size_t bytes, void **host)
{
    *host = cla_memory_alloc(bytes);
    CLA_REQUIRE(ctx, *host, CLATTN_ERR_MEMORY, "out of host memory for a buffer of %zu bytes",
                bytes);
    return CLATTN_OK;
}

clattn_status clattn_buffer_create(clattn_ctx *ctx, size_t bytes, clattn_buffer **out)
{
    if (out)
        *out = NULL;
    CLA_TRY(cla_enter(ctx));
    CLA_REQUIRE(ctx, out, CLATTN_ERR_ARG, "clattn_buffer_create: out is NULL");
    CLA_REQUIRE(ctx, bytes > 0 && bytes <= ctx->dev.info.max_alloc_bytes, CLATTN_ERR_SHAPE,
                "clattn_buffer_create: %zu bytes; %s takes 1 to %zu", bytes, ctx->dev.info.name,
                ctx->dev.info.max_alloc_bytes);
    clattn_buffer *buffer = calloc(1, sizeof *buffer);
    CLA_REQUIRE(ctx, buffer, CLATTN_ERR_MEMORY, "out of host memory for a buffer");
    const clattn_status s = ctx->cl ? cla_cl_buffer_create(ctx, bytes, &buffer->mem)
                                    : native_memory(ctx, bytes, &buffer->host);
    if (s != CLATTN_OK) {
        free(buffer);
        return s;
    }
    buffer->refs = 1;
    buffer->bytes = bytes;
    buffer->ctx = cla_ctx_retain(ctx);
    *out = buffer;
    return CLATTN_OK;
}

void clattn_buffer_destroy(clattn_buffer **buffer)
{
    if (!buffer || !*buffer)
        return;
    clattn_buffer *b = *buffer;
    *buffer = NULL;
    if (--b->refs > 0)
        return;
    free(b->host);
    if (b->ctx->pid == getpid())
        cla_cl_buffer_destroy(b->mem);
    cla_ctx_release(b->ctx);
    free(b);
}

size_t clattn_buffer_size(const clattn_buffer *buffer)
{
    return buffer ? buffer->bytes : 0;
}

static clattn_status check_copy(clattn_buffer *buffer, const char *op, size_t offset,
                                const void *host, size_t bytes)
{
    if (!buffer)
        return CLATTN_ERR_ARG;
    clattn_ctx *ctx = buffer->ctx;
    CLA_TRY(cla_enter(ctx));
    CLA_REQUIRE(ctx, host || bytes == 0, CLATTN_ERR_ARG, "%s: host memory is NULL", op);
    CLA_REQUIRE(ctx, offset <= buffer->bytes && bytes <= buffer->bytes - offset, CLATTN_ERR_SHAPE,
                "%s: %zu bytes from byte %zu on of a buffer of %zu", op, bytes, offset,
                buffer->bytes);
    return CLATTN_OK;
}

clattn_status clattn_buffer_write(clattn_buffer *buffer, size_t offset, const void *src,
                                  size_t bytes)
{
    CLA_TRY(check_copy(buffer, "clattn_buffer_write", offset, src, bytes));
    if (bytes == 0)
        return CLATTN_OK;
    if (buffer->mem)
        return cla_cl_buffer_write(buffer->ctx, buffer->mem, offset, src, bytes);
    memcpy((char *)buffer->host + offset, src, bytes);
    return CLATTN_OK;
}

clattn_status clattn_buffer_read(clattn_buffer *buffer, size_t offset, void *dst, size_t bytes)
{
    CLA_TRY(check_copy(buffer, "clattn_buffer_read", offset, dst, bytes));
    if (bytes == 0)
        return CLATTN_OK;
    if (buffer->mem)
        return cla_cl_buffer_read(buffer->ctx, buffer->mem, offset, dst, bytes);
    memcpy(dst, (const char *)buffer->host + offset, bytes);
    return CLATTN_OK;
}

clattn_status cla_buffer_write_later(clattn_buffer *buffer, size_t offset, const void *src,
                                     size_t bytes)
{
    CLA_TRY(check_copy(buffer, "cla_buffer_write_later", offset, src, bytes));
    if (buffer->mem)
        return cla_cl_buffer_write_later(buffer->ctx, buffer->mem, offset, src, bytes);
    memcpy((char *)buffer->host + offset, src, bytes);
    return CLATTN_OK;
}

clattn_status cla_buffer_create_zeroed(clattn_ctx *ctx, size_t bytes, clattn_buffer **out)
{
    CLA_TRY(clattn_buffer_create(ctx, bytes, out));
    void *zeros = calloc(1, bytes);
    const clattn_status s = zeros ? cla_buffer_write_later(*out, 0, zeros, bytes)
                                  : cla_fail(ctx, CLATTN_ERR_MEMORY,
                                             "out of host memory for %zu zeros", bytes);
    free(zeros);
    if (s != CLATTN_OK)
        clattn_buffer_destroy(out);
    return s;
}

clattn_status cla_buffer_copy(const clattn_buffer *src, size_t from, const clattn_buffer *dst,
                              size_t to, size_t bytes)
{
    if (src->mem)
        return cla_cl_buffer_copy(src->ctx, src->mem, from, dst->mem, to, bytes);
    memcpy((char *)dst->host + to, (const char *)src->host + from, bytes);
    return CLATTN_OK;
}
