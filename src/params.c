/* SPDX-License-Identifier: Apache-2.0 */
#include "params.h"

#include <string.h>

clattn_status cla_params_read(clattn_ctx *ctx, const char *op, void *dst, size_t size,
                              const void *src)
{
    size_t given;
    memcpy(&given, src, sizeof given);
    CLA_REQUIRE(ctx, given >= sizeof given, CLATTN_ERR_ARG,
                "%s: struct_size is %zu; set it to the sizeof of the params struct", op, given);
    /* A struct_size beyond any sane struct is uninitialised memory: do not read that far. */
    CLA_REQUIRE(ctx, given <= 16 * size, CLATTN_ERR_ARG,
                "%s: struct_size is %zu, the library knows %zu bytes; is it uninitialised?", op,
                given, size);
    const unsigned char *bytes = src;
    for (size_t i = size; i < given; i++)
        CLA_REQUIRE(ctx, bytes[i] == 0, CLATTN_ERR_VERSION,
                    "%s: struct_size is %zu but this library (%s) knows %zu bytes, and a field "
                    "beyond them is set",
                    op, given, CLATTN_VERSION_STRING, size);
    memset(dst, 0, size);
    memcpy(dst, src, given < size ? given : size);
    memcpy(dst, &size, sizeof size);
    return CLATTN_OK;
}
