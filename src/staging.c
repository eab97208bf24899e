/* SPDX-License-Identifier: Apache-2.0 */
#include "staging.h"

static bool is_host_tensor(const cla_view *view)
{
    return view->span > 0 && !view->buffer && !view->in_work;
}

bool cla_staging_needed(const clattn_ctx *ctx, const cla_op *op, const void *problem)
{
    if (!ctx->cl)
        return false;
    for (const cla_slot *slot = op->slots; slot->name; slot++)
        if (is_host_tensor((const cla_view *)((const char *)problem + slot->offset)))
            return true;
    return false;
}

/* The bytes of a host view. */
static cla_staged range_of(const cla_view *view, bool written)
{
    const size_t size = clattn_dtype_size((clattn_dtype)view->dtype);
    char *first = (char *)view->host + (size_t)view->offset * size;
    return (cla_staged){ first, first + (size_t)view->span * size, written, NULL };
}

/*
 * Adds a range; ranges that overlap become one. Two buffers over the same memory would each be
 * copied back in full, one of them stale.
 */
static void add_range(cla_staging *s, cla_staged range)
{
    for (int i = 0; i < s->count;) {
        const cla_staged *r = &s->ranges[i];
        if (r->last <= range.first || range.last <= r->first) {
            i++;
            continue;
        }
        range.first = r->first < range.first ? r->first : range.first;
        range.last = r->last > range.last ? r->last : range.last;
        range.written |= r->written;
        s->ranges[i] = s->ranges[--s->count];
        i = 0;
    }
    s->ranges[s->count++] = range;
}

static const cla_staged *find_range(const cla_staging *s, const char *address)
{
    for (int i = 0; i < s->count; i++)
        if (address >= s->ranges[i].first && address < s->ranges[i].last)
            return &s->ranges[i];
    return NULL;
}

/* Written ranges are copied in too: between the rows of a strided output lies the caller's data. */
static clattn_status copy_in(clattn_ctx *ctx, cla_staging *s)
{
    for (int i = 0; i < s->count; i++) {
        cla_staged *r = &s->ranges[i];
        const size_t bytes = (size_t)(r->last - r->first);
        CLA_TRY(clattn_buffer_create(ctx, bytes, &r->buffer));
        CLA_TRY(clattn_buffer_write(r->buffer, 0, r->first, bytes));
    }
    return CLATTN_OK;
}

clattn_status cla_staging_in(clattn_ctx *ctx, const cla_op *op, void *problem, cla_staging *s)
{
    *s = (cla_staging){ 0 };
    for (const cla_slot *slot = op->slots; slot->name; slot++) {
        const cla_view *view = cla_slot_view(slot, problem);
        if (is_host_tensor(view))
            add_range(s, range_of(view, slot->written));
    }
    CLA_TRY(copy_in(ctx, s));
    for (const cla_slot *slot = op->slots; slot->name; slot++) {
        cla_view *view = cla_slot_view(slot, problem);
        if (!is_host_tensor(view))
            continue;
        const size_t size = clattn_dtype_size((clattn_dtype)view->dtype);
        const char *first = (const char *)view->host + (size_t)view->offset * size;
        const cla_staged *r = find_range(s, first);
        view->buffer = r->buffer;
        view->host = NULL;
        view->offset = (first - r->first) / (int64_t)size;
    }
    return CLATTN_OK;
}

clattn_status cla_staging_out(const cla_staging *s)
{
    for (int i = 0; i < s->count; i++) {
        const cla_staged *r = &s->ranges[i];
        if (r->written)
            CLA_TRY(clattn_buffer_read(r->buffer, 0, r->first, (size_t)(r->last - r->first)));
    }
    return CLATTN_OK;
}

void cla_staging_free(cla_staging *s)
{
    for (int i = 0; i < s->count; i++)
        clattn_buffer_destroy(&s->ranges[i].buffer);
    s->count = 0;
}
