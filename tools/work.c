/* SPDX-License-Identifier: Apache-2.0 */
#include "work.h"

#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* A failed call of the library, or none. */
static int check(struct work *w, clattn_status status)
{
    if (status != CLATTN_OK && w->code == EXIT_OK)
        w->code = session_fail(w->session, status);
    return w->code;
}

void *work_begin(struct work *w, struct session *s, clattn_dtype dtype,
                 const struct work_calls *calls, const void *params)
{
    *w = (struct work){ .session = s, .dtype = dtype, .calls = calls, .copies = 1 };
    w->params = malloc(calls->params_size);
    if (w->params)
        memcpy(w->params, params, calls->params_size);
    else
        w->code = fail(EXIT_INPUT, "out of memory");
    return w->params;
}

void work_end(struct work *w)
{
    clattn_plan_destroy(&w->plan);
    clattn_kv_destroy(&w->kv);
    for (int i = 0; i < w->n; i++)
        clattn_buffer_destroy(&w->tensor[i].buffer);
    free(w->params);
    *w = (struct work){ 0 };
}

/* ------------------------------------------------------------------------------------------ */
/* Tensors                                                                                    */

static struct work_tensor *add_tensor(struct work *w, size_t bytes, clattn_tensor *view)
{
    struct work_tensor *t = &w->tensor[w->n++];

    *t = (struct work_tensor){ .view = view };
    check(w, clattn_buffer_create(w->session->ctx, bytes ? bytes : 1, &t->buffer));
    return t;
}

void work_input_bytes(struct work *w, const void *data, clattn_dtype dtype, int rank,
                      const int64_t *shape, clattn_tensor *view)
{
    size_t bytes = clattn_dtype_size(dtype);

    if (w->code != EXIT_OK)
        return;
    for (int i = 0; i < rank; i++)
        bytes *= (size_t)shape[i];
    struct work_tensor *t = add_tensor(w, bytes, view);
    if (w->code == EXIT_OK && check(w, clattn_buffer_write(t->buffer, 0, data, bytes)) == EXIT_OK)
        *view = clattn_tensor_of_buffer(t->buffer, dtype, rank, shape);
}

void work_input(struct work *w, const char *name, const struct array *a, clattn_dtype dtype,
                clattn_tensor *view)
{
    const size_t bytes = a->count * clattn_dtype_size(dtype);

    if (w->code != EXIT_OK || a->dtype == CLATTN_NONE)
        return;
    void *stored = malloc(bytes ? bytes : 1);
    if (!stored) {
        w->code = fail(EXIT_INPUT, "out of memory for %zu bytes of %s", bytes, name);
        return;
    }
    const size_t lost = array_store(a, dtype, stored);
    if (lost > 0)
        say("warning: %zu values of %s are beyond the range of %s and become infinite", lost, name,
            clattn_dtype_name(dtype));
    work_input_bytes(w, stored, dtype, a->rank, a->shape, view);
    free(stored);
}

/* All bits set is NaN in every dtype. */
void work_output(struct work *w, struct array *result, clattn_dtype dtype, clattn_tensor *view)
{
    const size_t bytes = result->count * clattn_dtype_size(dtype);

    if (w->code != EXIT_OK || result->dtype == CLATTN_NONE)
        return;
    void *poison = malloc(bytes ? bytes : 1);
    if (!poison) {
        w->code = fail(EXIT_INPUT, "out of memory for %zu bytes of results", bytes);
        return;
    }
    memset(poison, 0xff, bytes);
    work_input_bytes(w, poison, dtype, result->rank, result->shape, view);
    free(poison);
    if (w->code == EXIT_OK)
        w->tensor[w->n - 1].result = result;
    w->output_bytes += (double)bytes;
}

static int read_result(struct work *w, const struct work_tensor *t)
{
    const clattn_dtype dtype = t->view->dtype;
    const size_t bytes = t->result->count * clattn_dtype_size(dtype);
    void *stored = malloc(bytes ? bytes : 1);

    if (!stored)
        return w->code = fail(EXIT_INPUT, "out of memory for %zu bytes of results", bytes);
    check(w, clattn_buffer_read(t->buffer, 0, stored, bytes));
    if (w->code == EXIT_OK && dtype == t->result->dtype)
        memcpy(t->result->data, stored, bytes);
    else if (w->code == EXIT_OK)
        clattn_to_f32(dtype, stored, t->result->data, t->result->count);
    free(stored);
    return w->code;
}

int work_read(struct work *w)
{
    for (int i = 0; i < w->n && w->code == EXIT_OK; i++) {
        if (w->tensor[i].result)
            read_result(w, &w->tensor[i]);
    }
    return w->code;
}

/* ------------------------------------------------------------------------------------------ */
/* Plan and runs                                                                              */

int work_plan(struct work *w)
{
    if (w->code == EXIT_OK)
        check(w, w->calls->plan(w->session->ctx, w->params, &w->plan));
    if (w->code == EXIT_OK)
        check(w, clattn_plan_describe(w->plan, &w->info));
    return w->code;
}

clattn_status work_queue(struct work *w)
{
    if (w->copies == 1)
        return clattn_plan_run(w->plan);
    w->turn = (w->turn + 1) % w->copies;
    if (w->kv)
        *w->kv_sequence = w->turn * w->kv_step;
    for (int i = 0; i < w->n; i++)
        w->tensor[i].view->offset = w->turn * w->tensor[i].step;
    return w->calls->run(w->plan, w->params);
}

int work_run(struct work *w)
{
    if (w->code == EXIT_OK && check(w, work_queue(w)) == EXIT_OK)
        check(w, clattn_finish(w->session->ctx));
    return w->code;
}

/* ------------------------------------------------------------------------------------------ */
/* Copies                                                                                     */

enum {
    ALIGN = 256,       /* elements: copies start where any vector access may */
    MAX_COPIES = 1024, /* what is so small that these fit a cache is bound by its launch */
};

static const double UNKNOWN_CACHE = 64.0 * (1 << 20); /* more than most GPUs have */

int64_t work_copies(const struct session *s, double bytes, double room)
{
    const double cache = s->device->cache_bytes ? (double)s->device->cache_bytes : UNKNOWN_CACHE;
    double copies = 4 * cache / bytes + 1;
    if (copies > MAX_COPIES)
        copies = MAX_COPIES;
    if (copies * bytes > room)
        copies = room / bytes;
    return copies < 2 ? 1 : (int64_t)copies;
}

static int64_t copies_for(const struct work *w, double room)
{
    const clattn_device_info *device = w->session->device;
    double together = 0, largest = 0;

    for (int i = 0; i < w->n; i++) {
        const double bytes = (double)clattn_buffer_size(w->tensor[i].buffer);
        together += bytes;
        largest = bytes > largest ? bytes : largest;
    }
    double copies = (double)work_copies(w->session, together, room);
    /* The last copy is padded; leave it a page. */
    if (copies * (largest + 4096) > (double)device->max_alloc_bytes)
        copies = (double)device->max_alloc_bytes / (largest + 4096);
    return copies < 2 ? 1 : (int64_t)copies;
}

/* Replaces a tensor's buffer by one with as many copies of it. */
static void multiply(struct work *w, struct work_tensor *t, int64_t copies)
{
    const size_t size = clattn_dtype_size(t->view->dtype), bytes = clattn_buffer_size(t->buffer);
    const int64_t count = (int64_t)(bytes / size);
    clattn_buffer *buffer = NULL;

    if (count == 0)
        return;
    void *data = malloc(bytes);
    t->step = (count + ALIGN - 1) / ALIGN * ALIGN;
    if (!data)
        w->code = fail(EXIT_INPUT, "out of memory for %zu bytes of a copy", bytes);
    else if (check(w, clattn_buffer_read(t->buffer, 0, data, bytes)) == EXIT_OK)
        check(w, clattn_buffer_create(w->session->ctx, (size_t)(t->step * copies) * size, &buffer));
    for (int64_t i = 0; i < copies && w->code == EXIT_OK; i++)
        check(w, clattn_buffer_write(buffer, (size_t)(i * t->step) * size, data, bytes));
    free(data);
    if (w->code == EXIT_OK) {
        clattn_buffer_destroy(&t->buffer);
        t->view->buffer = t->buffer = buffer;
    } else {
        clattn_buffer_destroy(&buffer);
    }
}

int work_rotate(struct work *w, double room)
{
    const int64_t copies = w->kv ? w->copies : copies_for(w, room);

    if (w->kv)
        return w->code;
    for (int i = 0; i < w->n && w->code == EXIT_OK && copies > 1; i++)
        multiply(w, &w->tensor[i], copies);
    if (w->code == EXIT_OK)
        w->copies = copies;
    return w->code;
}
