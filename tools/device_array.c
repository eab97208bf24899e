/* SPDX-License-Identifier: Apache-2.0 */
#include "device_array.h"

#include <stdlib.h>
#include <string.h>

#include "cli.h"

int device_upload_bytes(struct session *s, const void *data, size_t bytes, clattn_buffer **buffer)
{
    const int code = session_buffer(s, CLATTN_U8, bytes, buffer);
    if (code != EXIT_OK || bytes == 0)
        return code;
    const clattn_status status = clattn_buffer_write(*buffer, 0, data, bytes);
    return status == CLATTN_OK ? EXIT_OK : session_fail(s, status);
}

int device_upload(struct session *s, const char *name, const struct array *a, clattn_dtype dtype,
                  clattn_buffer **buffer, clattn_tensor *tensor)
{
    if (a->dtype == CLATTN_NONE)
        return EXIT_OK;
    const size_t bytes = a->count * clattn_dtype_size(dtype);
    void *stored = malloc(bytes ? bytes : 1);
    if (!stored)
        return fail(EXIT_INPUT, "out of memory for %zu bytes of %s", bytes, name);
    const size_t lost = array_store(a, dtype, stored);
    if (lost > 0)
        say("warning: %zu values of %s are beyond the range of %s and become infinite", lost, name,
            clattn_dtype_name(dtype));
    const int code = device_upload_bytes(s, stored, bytes, buffer);
    free(stored);
    if (code == EXIT_OK)
        *tensor = clattn_tensor_of_buffer(*buffer, dtype, a->rank, a->shape);
    return code;
}

int device_output(struct session *s, const struct array *a, clattn_dtype dtype,
                  clattn_buffer **buffer, clattn_tensor *tensor)
{
    const size_t bytes = a->count * clattn_dtype_size(dtype);
    void *poison = malloc(bytes ? bytes : 1);
    if (!poison)
        return fail(EXIT_INPUT, "out of memory for %zu bytes of results", bytes);
    memset(poison, 0xff, bytes);
    const int code = device_upload_bytes(s, poison, bytes, buffer);
    free(poison);
    if (code == EXIT_OK)
        *tensor = clattn_tensor_of_buffer(*buffer, dtype, a->rank, a->shape);
    return code;
}

int device_download(struct session *s, clattn_buffer *buffer, clattn_dtype dtype, struct array *out)
{
    const size_t bytes = out->count * clattn_dtype_size(dtype);
    if (bytes == 0)
        return EXIT_OK;
    void *stored = malloc(bytes);
    if (!stored)
        return fail(EXIT_INPUT, "out of memory for %zu bytes of results", bytes);
    const clattn_status status = clattn_buffer_read(buffer, 0, stored, bytes);
    if (status == CLATTN_OK)
        clattn_to_f32(dtype, stored, out->data, out->count);
    free(stored);
    return status == CLATTN_OK ? EXIT_OK : session_fail(s, status);
}
