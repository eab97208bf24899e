/* SPDX-License-Identifier: Apache-2.0 */
#include "subject.h"

#include <stdlib.h>
#include <string.h>

#include "op_tuning.h"

enum {
    GUARD = 4096,
    FLOAT_POISON = 0xff, /* NaN in every float format */
    INT_POISON = 0x7e,   /* no index, and not the -1 of a row that sees nothing */
};

#define CACHES ((size_t)192 << 20) /* copies of inputs outgrow this */
#define BANDWIDTH_BOUND 32.0       /* flops per byte below which inputs must not stay in a cache */

static size_t element_size(const cla_view *view)
{
    return clattn_dtype_size((clattn_dtype)view->dtype);
}

/* ---- inputs ---- */

static uint32_t next(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*random >> 32);
}

static float between(uint64_t *random, float low, float high)
{
    return low + (high - low) * (float)(next(random) >> 8) * 0x1p-24f;
}

static void fill_floats(const cla_subject *s, const cla_subject_part *part, const cla_view *view,
                        uint64_t *random)
{
    const size_t n = (size_t)view->span, size = element_size(view);
    const cla_op_tuning *tuning = s->op->tuning;
    const cla_range range = tuning->range ? tuning->range(s->problem.bytes, view) : cla_range_usual;
    for (size_t i = 0; i < n; i++) {
        const float x = between(random, range.low, range.high);
        clattn_from_f32((clattn_dtype)view->dtype, &x, part->host + GUARD + i * size, 1);
    }
}

static void fill(const cla_subject *s, const cla_subject_part *part, const cla_view *view,
                 uint64_t *random)
{
    const size_t n = (size_t)view->span;
    switch (view->dtype) {
    case CLATTN_F32:
    case CLATTN_F16:
    case CLATTN_BF16:
        fill_floats(s, part, view, random);
        break;
    case CLATTN_I32:
        for (size_t i = 0; i < n; i++) {
            const int32_t x = s->op->tuning->integer(s->problem.bytes, view, (int64_t)i);
            memcpy(part->host + GUARD + i * sizeof x, &x, sizeof x);
        }
        break;
    default:
        for (size_t i = 0; i < n; i++) {
            const uint32_t x = next(random);
            part->host[GUARD + i] = (unsigned char)(view->dtype == CLATTN_U8 ? x % 4 > 0 : x);
        }
    }
}

/* ---- making ---- */

static clattn_status make_part(cla_subject *s, const cla_slot *slot, uint64_t *random)
{
    const cla_view *view = cla_slot_view(slot, s->problem.bytes);
    if (view->dtype == CLATTN_NONE || view->in_work || view->span == 0)
        return CLATTN_OK;
    cla_subject_part *part = &s->parts[s->num_parts++];
    const bool is_float =
        view->dtype == CLATTN_F32 || view->dtype == CLATTN_F16 || view->dtype == CLATTN_BF16;
    part->slot = slot;
    part->bytes = (size_t)view->span * element_size(view) + 2 * GUARD;
    part->poison = is_float ? FLOAT_POISON : INT_POISON;
    part->host = malloc(part->bytes);
    part->again = slot->written ? malloc(part->bytes) : NULL;
    CLA_REQUIRE(s->ctx, part->host && (part->again || !slot->written), CLATTN_ERR_MEMORY,
                "%s: out of host memory for %zu bytes to tune with", s->op->name, part->bytes);
    memset(part->host, part->poison, part->bytes);
    if (!slot->written)
        fill(s, part, view, random);
    return CLATTN_OK;
}

static clattn_status upload(cla_subject *s, int copy)
{
    for (int i = 0; i < s->num_parts; i++) {
        cla_subject_part *part = &s->parts[i];
        CLA_TRY(clattn_buffer_create(s->ctx, part->bytes, &part->buffer[copy]));
        CLA_TRY(clattn_buffer_write(part->buffer[copy], 0, part->host, part->bytes));
    }
    s->num_copies++;
    return CLATTN_OK;
}

static int copies_wanted(const cla_subject *s, size_t bytes)
{
    const cla_work cost = s->op->cost(s->problem.bytes);
    if (cost.flops > BANDWIDTH_BOUND * cost.bytes)
        return 1;
    size_t n = CACHES / (bytes + 1) + 1;
    if (n > CLA_MAX_COPIES)
        n = CLA_MAX_COPIES;
    while (n > 1 && n * bytes > s->ctx->dev.info.global_bytes / 8)
        n--;
    return (int)n;
}

clattn_status cla_subject_make(clattn_ctx *ctx, const cla_op *op, const void *problem,
                               uint64_t seed, cla_subject *s)
{
    *s = (cla_subject){ .ctx = ctx, .op = op };
    memcpy(s->problem.bytes, problem, op->size);
    /* Plans of the subject run on its workspace: this one keeps them from making their own. */
    *(cla_view *)(s->problem.bytes + op->work) = (cla_view){ .dtype = CLATTN_U8, .span = 1 };
    size_t bytes = 0;
    for (const cla_slot *slot = op->slots; slot->name; slot++) {
        cla_view *view = cla_slot_view(slot, s->problem.bytes);
        view->buffer = NULL; /* maybe of another process */
        view->host = NULL;
        CLA_TRY(make_part(s, slot, &seed));
    }
    for (int i = 0; i < s->num_parts; i++)
        bytes += s->parts[i].bytes;
    for (int copy = 0, n = copies_wanted(s, bytes); copy < n; copy++)
        CLA_TRY(upload(s, copy));
    cla_subject_attach(s, s->problem.bytes, 0, &s->problem);
    return CLATTN_OK;
}

void cla_subject_free(cla_subject *s)
{
    for (int i = 0; i < s->num_parts; i++) {
        cla_subject_part *part = &s->parts[i];
        for (int copy = 0; copy < CLA_MAX_COPIES; copy++)
            clattn_buffer_destroy(&part->buffer[copy]);
        free(part->host);
        free(part->again);
    }
    clattn_buffer_destroy(&s->work);
    s->num_parts = 0;
}

/* ---- running ---- */

void cla_subject_attach(const cla_subject *s, const void *shape, int copy, cla_problem *out)
{
    if (out->bytes != shape)
        memcpy(out->bytes, shape, s->op->size);
    for (int i = 0; i < s->num_parts; i++) {
        const cla_subject_part *part = &s->parts[i];
        cla_view *view = cla_slot_view(part->slot, out->bytes);
        view->buffer = part->buffer[copy];
        view->host = part->buffer[copy]->host;
        view->offset = (int64_t)(GUARD / element_size(view));
    }
}

static clattn_status make_room(cla_subject *s, const clattn_plan *plan)
{
    if (s->work && s->work->bytes >= plan->workspace_bytes + GUARD)
        return CLATTN_OK;
    clattn_buffer_destroy(&s->work);
    return clattn_buffer_create(s->ctx, plan->workspace_bytes + GUARD, &s->work);
}

clattn_status cla_subject_run(cla_subject *s, clattn_plan *plan, const void *shape, int copy)
{
    static const cla_events none = { 0 };
    cla_problem problem;
    CLA_TRY(make_room(s, plan));
    cla_subject_attach(s, shape, copy, &problem);
    cla_view *work = (cla_view *)(problem.bytes + s->op->work);
    *work = (cla_view){ .buffer = s->work,
                        .host = s->work->host,
                        .dtype = CLATTN_U8,
                        .span = (int64_t)s->work->bytes,
                        .shape = { (int64_t)s->work->bytes },
                        .stride = { 1 } };
    return cla_plan_execute_unchecked(plan, problem.bytes, &none);
}

clattn_status cla_subject_poison(cla_subject *s, const clattn_plan *plan)
{
    unsigned char guard[GUARD];
    memset(guard, FLOAT_POISON, sizeof guard);
    CLA_TRY(make_room(s, plan));
    CLA_TRY(clattn_buffer_write(s->work, plan->workspace_bytes, guard, sizeof guard));
    for (int i = 0; i < s->num_parts; i++) {
        const cla_subject_part *part = &s->parts[i];
        if (!part->slot->written)
            continue;
        memset(part->again, part->poison, part->bytes);
        CLA_TRY(clattn_buffer_write(part->buffer[0], 0, part->again, part->bytes));
    }
    return CLATTN_OK;
}

clattn_status cla_subject_read(cla_subject *s, const clattn_plan *plan, bool again, bool *kept)
{
    unsigned char guard[GUARD];
    CLA_TRY(clattn_buffer_read(s->work, plan->workspace_bytes, guard, sizeof guard));
    *kept = guard[0] == FLOAT_POISON && memcmp(guard, guard + 1, sizeof guard - 1) == 0;
    for (int i = 0; i < s->num_parts; i++) {
        const cla_subject_part *part = &s->parts[i];
        if (part->slot->written)
            CLA_TRY(clattn_buffer_read(part->buffer[0], 0, again ? part->again : part->host,
                                       part->bytes));
    }
    return CLATTN_OK;
}

void cla_subject_on_host(const cla_subject *s, const void *shape, cla_problem *out)
{
    memcpy(out->bytes, shape, s->op->size);
    for (int i = 0; i < s->num_parts; i++) {
        const cla_subject_part *part = &s->parts[i];
        cla_view *view = cla_slot_view(part->slot, out->bytes);
        view->buffer = NULL;
        view->host = part->host;
        view->offset = (int64_t)(GUARD / element_size(view));
    }
}
