/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors inside poisoned memory. */
#include "memory.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "storage.h"
#include "suite.h"

/* Elements on both sides of every tensor. A page of f32, so that whole tiles land in it. */
enum { MARGIN = 1024 };

/* NaN in every float format, 255 in a mask, -1 in an index. */
#define POISON 0xff

/* The element whose row-major number is i. */
static int64_t element_at(const clattn_tensor *t, int64_t i)
{
    int64_t at = t->offset;
    for (int a = t->rank - 1; a >= 0; a--) {
        at += i % t->shape[a] * t->stride[a];
        i /= t->shape[a];
    }
    return at;
}

void *memory_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

static void upload(test_memory *m)
{
    if (m->host)
        memcpy(m->host, m->bytes, m->size);
    else
        ck_assert_int_eq(clattn_buffer_write(m->tensor.buffer, 0, m->bytes, m->size), CLATTN_OK);
}

void memory_make(test_memory *m, clattn_ctx *ctx, bool written, clattn_dtype dtype, int rank,
                 const int64_t *shape, const test_layout *layout)
{
    static const test_layout dense;
    clattn_tensor *t = &m->tensor;
    int64_t run = 1;
    bool innermost = true;

    if (!layout)
        layout = &dense;
    memset(m, 0, sizeof *m);
    m->written = written;
    t->dtype = dtype;
    t->rank = rank;
    t->offset = MARGIN + layout->offset;
    const bool ordered = rank > 1 && (layout->order[0] || layout->order[1]);
    for (int n = rank - 1; n >= 0; n--) {
        const int a = ordered ? layout->order[n] : n;
        t->shape[a] = shape[a];
        t->stride[a] = run;
        run *= shape[a] > 0 ? shape[a] : 1;
        if (innermost)
            run += layout->row_pad;
        innermost = false;
    }
    m->size = (size_t)(t->offset + run + MARGIN) * clattn_dtype_size(dtype);
    m->bytes = memory_alloc(m->size);
    memset(m->bytes, POISON, m->size);
    if (ctx)
        OK(ctx, clattn_buffer_create(ctx, m->size, &t->buffer));
    else
        t->data = m->host = memory_alloc(m->size);
    upload(m);
}

void memory_free(test_memory *m)
{
    clattn_buffer_destroy(&m->tensor.buffer);
    free(m->host);
    free(m->bytes);
    memset(m, 0, sizeof *m);
}

void memory_put(test_memory *m, const float *dense)
{
    const int64_t count = clattn_tensor_count(&m->tensor);
    for (int64_t i = 0; i < count; i++)
        storage_put(m->tensor.dtype, m->bytes, (size_t)element_at(&m->tensor, i), dense[i]);
    upload(m);
}

void memory_put_bytes(test_memory *m, const void *dense)
{
    const size_t size = clattn_dtype_size(m->tensor.dtype);
    const int64_t count = clattn_tensor_count(&m->tensor);
    for (int64_t i = 0; i < count; i++)
        memcpy(m->bytes + (size_t)element_at(&m->tensor, i) * size,
               (const unsigned char *)dense + (size_t)i * size, size);
    upload(m);
}

void memory_poison(test_memory *m)
{
    memset(m->bytes, POISON, m->size);
    upload(m);
}

/* Nothing but the elements of an output may differ from what was put there. */
static void check_untouched(const test_memory *m, const char *name, const unsigned char *now)
{
    const size_t size = clattn_dtype_size(m->tensor.dtype);
    const int64_t count = m->written ? clattn_tensor_count(&m->tensor) : 0;
    unsigned char *expected = memory_alloc(m->size);

    memcpy(expected, m->bytes, m->size);
    for (int64_t i = 0; i < count; i++) {
        const size_t at = (size_t)element_at(&m->tensor, i) * size;
        memcpy(expected + at, now + at, size);
    }
    for (size_t i = 0; i < m->size; i++)
        if (now[i] != expected[i])
            ck_abort_msg("%s: %s: byte %zu of %zu was written, outside of any output",
                         compare_label_text(), name, i, m->size);
    free(expected);
}

/* What the allocation holds now; nothing but an output may have changed. To be freed. */
static unsigned char *download(test_memory *m, const char *name)
{
    unsigned char *now = memory_alloc(m->size);

    if (m->host)
        memcpy(now, m->host, m->size);
    else
        ck_assert_int_eq(clattn_buffer_read(m->tensor.buffer, 0, now, m->size), CLATTN_OK);
    check_untouched(m, name, now);
    return now;
}

void memory_get(test_memory *m, const char *name, float *dense)
{
    const int64_t count = clattn_tensor_count(&m->tensor);
    unsigned char *now = download(m, name);

    for (int64_t i = 0; dense && i < count; i++)
        dense[i] = storage_get(m->tensor.dtype, now, (size_t)element_at(&m->tensor, i));
    free(now);
}

void memory_get_bytes(test_memory *m, const char *name, void *dense)
{
    const int64_t count = clattn_tensor_count(&m->tensor);
    const size_t size = clattn_dtype_size(m->tensor.dtype);
    unsigned char *now = download(m, name);

    for (int64_t i = 0; i < count; i++)
        memcpy((unsigned char *)dense + (size_t)i * size,
               now + (size_t)element_at(&m->tensor, i) * size, size);
    free(now);
}

void memory_unchanged(test_memory *m, const char *name)
{
    if (m->bytes)
        memory_get(m, name, NULL);
}
