/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor.h"

#include <stdio.h>
#include <string.h>

#include "context.h"

static clattn_tensor dense(clattn_dtype dtype, int rank, const int64_t *shape)
{
    clattn_tensor t = { .dtype = CLATTN_NONE };
    if (rank < 1 || rank > CLATTN_MAX_RANK || !shape)
        return t;
    t.dtype = dtype;
    t.rank = rank;
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t.shape[i] = shape[i];
        t.stride[i] = stride;
        /* An overflow here is found by cla_view_make(): the span it computes overflows too. */
        if (__builtin_mul_overflow(stride, shape[i] > 0 ? shape[i] : 1, &stride))
            stride = INT64_MAX;
    }
    return t;
}

clattn_tensor clattn_tensor_of_buffer(clattn_buffer *buffer, clattn_dtype dtype, int rank,
                                      const int64_t *shape)
{
    clattn_tensor t = dense(dtype, rank, shape);
    t.buffer = buffer;
    return t;
}

clattn_tensor clattn_tensor_of_host(const void *data, clattn_dtype dtype, int rank,
                                    const int64_t *shape)
{
    clattn_tensor t = dense(dtype, rank, shape);
    t.data = (void *)(uintptr_t)data; /* written only when the tensor is used as an output */
    return t;
}

static bool has_axis(const clattn_tensor *t, int axis)
{
    return axis >= 0 && axis < t->rank && t->rank <= CLATTN_MAX_RANK;
}

clattn_tensor clattn_tensor_swap(clattn_tensor tensor, int axis_a, int axis_b)
{
    if (!has_axis(&tensor, axis_a) || !has_axis(&tensor, axis_b))
        return (clattn_tensor){ .dtype = CLATTN_NONE };
    clattn_tensor t = tensor;
    t.shape[axis_a] = tensor.shape[axis_b];
    t.stride[axis_a] = tensor.stride[axis_b];
    t.shape[axis_b] = tensor.shape[axis_a];
    t.stride[axis_b] = tensor.stride[axis_a];
    return t;
}

clattn_tensor clattn_tensor_repeat(clattn_tensor tensor, int axis, int64_t length)
{
    if (!has_axis(&tensor, axis) || tensor.shape[axis] != 1)
        return (clattn_tensor){ .dtype = CLATTN_NONE };
    tensor.shape[axis] = length;
    tensor.stride[axis] = 0;
    return tensor;
}

clattn_tensor clattn_tensor_slice(clattn_tensor tensor, int axis, int64_t first, int64_t length)
{
    if (!has_axis(&tensor, axis) || first < 0 || length < 0 || first > tensor.shape[axis]
        || length > tensor.shape[axis] - first)
        return (clattn_tensor){ .dtype = CLATTN_NONE };
    int64_t step;
    /* Where the offset overflows there is no memory: cla_view_make() refuses what is left. */
    if (__builtin_mul_overflow(first, tensor.stride[axis], &step)
        || __builtin_add_overflow(tensor.offset, step, &tensor.offset))
        tensor.offset = INT64_MAX;
    tensor.shape[axis] = length;
    return tensor;
}

int64_t clattn_tensor_count(const clattn_tensor *tensor)
{
    if (!tensor || !cla_present(tensor) || tensor->rank < 1 || tensor->rank > CLATTN_MAX_RANK)
        return 0;
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        if (__builtin_mul_overflow(count, tensor->shape[i], &count))
            return INT64_MAX;
    return count;
}

static clattn_status check_dtype(clattn_ctx *ctx, const cla_tensor_rule *rule, clattn_dtype dtype)
{
    if ((unsigned)dtype < 32 && (rule->dtypes & CLA_DTYPE_BIT(dtype)))
        return CLATTN_OK;
    char legal[64] = "";
    for (int d = CLATTN_F32; d <= CLATTN_I4; d++)
        if (rule->dtypes & CLA_DTYPE_BIT(d))
            snprintf(legal + strlen(legal), sizeof legal - strlen(legal), "%s%s",
                     legal[0] ? ", " : "", clattn_dtype_name((clattn_dtype)d));
    return cla_fail(ctx, CLATTN_ERR_ARG, "%s: %s has dtype %s (%d), needs %s", rule->op,
                    rule->name, clattn_dtype_name(dtype), (int)dtype, legal);
}

/* No two elements share an address: with strides in ascending order, each steps over all before. */
static bool is_injective(const clattn_tensor *t)
{
    bool used[CLATTN_MAX_RANK] = { false };
    int64_t extent = 1;
    for (int round = 0; round < t->rank; round++) {
        int next = -1;
        for (int i = 0; i < t->rank; i++)
            if (!used[i] && t->shape[i] > 1 && (next < 0 || t->stride[i] < t->stride[next]))
                next = i;
        if (next < 0)
            return true;
        used[next] = true;
        if (t->stride[next] < extent)
            return false;
        extent += (t->shape[next] - 1) * t->stride[next];
    }
    return true;
}

static clattn_status check_axes(clattn_ctx *ctx, const cla_tensor_rule *rule,
                                const clattn_tensor *t, cla_view *view)
{
    int64_t span = 1;
    bool empty = false, overflow = false;
    for (int i = 0; i < t->rank; i++) {
        CLA_REQUIRE(ctx, t->shape[i] >= 0 && t->shape[i] <= CLA_MAX_LENGTH, CLATTN_ERR_SHAPE,
                    "%s: axis %d of %s has length %lld, must be 0 to %d", rule->op, i, rule->name,
                    (long long)t->shape[i], CLA_MAX_LENGTH);
        CLA_REQUIRE(ctx, t->stride[i] >= 0, CLATTN_ERR_SHAPE, "%s: axis %d of %s has stride %lld",
                    rule->op, i, rule->name, (long long)t->stride[i]);
        int64_t step;
        empty |= t->shape[i] == 0;
        overflow |= __builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &step)
                 || __builtin_add_overflow(span, step, &span);
        view->shape[i] = t->shape[i];
        view->stride[i] = t->shape[i] > 1 ? t->stride[i] : 0;
    }
    const int last = t->rank - 1;
    CLA_REQUIRE(ctx, rule->any_last_stride || t->shape[last] <= 1 || t->stride[last] == 1,
                CLATTN_ERR_SHAPE, "%s: the last axis of %s has stride %lld, must be contiguous (1)",
                rule->op, rule->name, (long long)t->stride[last]);
    int64_t end = 0, bytes = 0;
    overflow = !empty
            && (overflow || __builtin_add_overflow(t->offset, span, &end)
                || __builtin_mul_overflow(end, (int64_t)clattn_dtype_size(t->dtype), &bytes));
    CLA_REQUIRE(ctx, !overflow, CLATTN_ERR_SHAPE, "%s: the size of %s overflows 64 bits", rule->op,
                rule->name);
    view->span = empty ? 0 : span;
    CLA_REQUIRE(ctx, empty || !rule->written || is_injective(t), CLATTN_ERR_ARG,
                "%s: elements of output %s share memory (a stride is too small)", rule->op,
                rule->name);
    return CLATTN_OK;
}

static clattn_status check_memory(clattn_ctx *ctx, const cla_tensor_rule *rule,
                                  const clattn_tensor *t, const cla_view *view)
{
    const size_t size = clattn_dtype_size(t->dtype);
    if (t->buffer) {
        CLA_REQUIRE(ctx, t->buffer->ctx == ctx, CLATTN_ERR_ARG,
                    "%s: the buffer of %s belongs to another context", rule->op, rule->name);
        CLA_REQUIRE(ctx,
                    view->span == 0
                        || ((uint64_t)t->offset + (uint64_t)view->span) * size <= t->buffer->bytes,
                    CLATTN_ERR_SHAPE,
                    "%s: %s ends at element %lld of its buffer, which holds %zu %s elements",
                    rule->op, rule->name, (long long)(t->offset + view->span),
                    t->buffer->bytes / size, clattn_dtype_name(t->dtype));
        return CLATTN_OK;
    }
    CLA_REQUIRE(ctx, t->data || view->span == 0, CLATTN_ERR_ARG,
                "%s: %s has neither a buffer nor host data", rule->op, rule->name);
    CLA_REQUIRE(ctx, (uintptr_t)t->data % size == 0, CLATTN_ERR_ARG,
                "%s: the host pointer of %s (%p) is not aligned to its dtype %s", rule->op,
                rule->name, t->data, clattn_dtype_name(t->dtype));
    const uint64_t bytes = ((uint64_t)t->offset + (uint64_t)view->span) * size;
    CLA_REQUIRE(ctx, view->span == 0 || bytes <= (uint64_t)INTPTR_MAX - (uintptr_t)t->data,
                CLATTN_ERR_SHAPE, "%s: %s ends beyond the last address", rule->op, rule->name);
    return CLATTN_OK;
}

clattn_status cla_view_make(clattn_ctx *ctx, const cla_tensor_rule *rule, const clattn_tensor *t,
                            cla_view *view)
{
    CLA_REQUIRE(ctx, cla_present(t), CLATTN_ERR_ARG, "%s: %s is missing", rule->op, rule->name);
    CLA_TRY(check_dtype(ctx, rule, t->dtype));
    CLA_REQUIRE(ctx, t->rank == rule->rank, CLATTN_ERR_SHAPE, "%s: %s has %d axes, needs %d",
                rule->op, rule->name, t->rank, rule->rank);
    CLA_REQUIRE(ctx, t->offset >= 0, CLATTN_ERR_SHAPE, "%s: %s has offset %lld", rule->op,
                rule->name, (long long)t->offset);
    CLA_TRY(check_axes(ctx, rule, t, view));
    CLA_TRY(check_memory(ctx, rule, t, view));
    view->buffer = t->buffer;
    view->host = t->buffer ? t->buffer->host : t->data;
    view->offset = t->offset;
    view->dtype = t->dtype;
    return CLATTN_OK;
}

clattn_status cla_view_of(clattn_ctx *ctx, const char *op, const char *name, int rank,
                          unsigned dtypes, bool written, const clattn_tensor *t, cla_view *view)
{
    const cla_tensor_rule rule = { op, name, rank, dtypes, written, false };
    return cla_view_make(ctx, &rule, t, view);
}

clattn_status cla_check_shape(clattn_ctx *ctx, const char *op, const char *name,
                              const cla_view *view, int rank, const int64_t *want)
{
    for (int i = 0; i < rank; i++)
        CLA_REQUIRE(ctx, view->shape[i] == want[i], CLATTN_ERR_SHAPE,
                    "%s: axis %d of %s has length %lld, needs %lld", op, i, name,
                    (long long)view->shape[i], (long long)want[i]);
    return CLATTN_OK;
}

clattn_tensor cla_with_batch(clattn_tensor t)
{
    if (t.rank != 2)
        return t;
    for (int i = 2; i > 0; i--) {
        t.shape[i] = t.shape[i - 1];
        t.stride[i] = t.stride[i - 1];
    }
    t.rank = 3;
    t.shape[0] = 1;
    t.stride[0] = 0;
    return t;
}

/*
 * Bytes from the first to one past the last when addresses are taken modulo a period; 0 when some
 * axis neither fits inside the period nor steps by whole periods.
 */
static int64_t reach_in_period(const cla_view *v, int64_t period)
{
    const int64_t size = (int64_t)clattn_dtype_size((clattn_dtype)v->dtype);
    int64_t reach = size;
    for (int i = 0; i < CLATTN_MAX_RANK; i++) {
        const int64_t step = v->stride[i] * size;
        if (step < period)
            reach += (v->shape[i] > 1 ? v->shape[i] - 1 : 0) * step;
        else if (step % period)
            return 0;
    }
    return reach;
}

/* distance: from the first byte of a to that of b. */
static bool disjoint_in_period(const cla_view *a, const cla_view *b, int64_t distance,
                               int64_t period)
{
    const int64_t reach_a = reach_in_period(a, period), reach_b = reach_in_period(b, period);
    const int64_t gap = (distance % period + period) % period;
    return reach_a && reach_b && reach_a <= gap && gap + reach_b <= period;
}

static bool disjoint_in_periods_of(const cla_view *v, const cla_view *a, const cla_view *b,
                                   int64_t distance)
{
    const int64_t size = (int64_t)clattn_dtype_size((clattn_dtype)v->dtype);
    for (int i = 0; i < CLATTN_MAX_RANK; i++)
        if (v->stride[i] > 1 && disjoint_in_period(a, b, distance, v->stride[i] * size))
            return true;
    return false;
}

bool cla_views_overlap(const cla_view *a, const cla_view *b)
{
    const bool device = a->buffer && b->buffer && a->buffer->mem && b->buffer->mem;
    if (a->span == 0 || b->span == 0 || (device && a->buffer->mem != b->buffer->mem)
        || (!device && (!a->host || !b->host)))
        return false;
    const int64_t size_a = (int64_t)clattn_dtype_size((clattn_dtype)a->dtype);
    const int64_t size_b = (int64_t)clattn_dtype_size((clattn_dtype)b->dtype);
    const int64_t base_a = device ? 0 : (int64_t)(uintptr_t)a->host;
    const int64_t base_b = device ? 0 : (int64_t)(uintptr_t)b->host;
    const int64_t first_a = base_a + a->offset * size_a, first_b = base_b + b->offset * size_b;
    if (first_a + a->span * size_a <= first_b || first_b + b->span * size_b <= first_a)
        return false;
    const int64_t distance = first_b - first_a;
    return !disjoint_in_periods_of(a, a, b, distance) && !disjoint_in_periods_of(b, a, b, distance);
}
