/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for sequences of API calls on the native CPU: buffers, caches, plans and calls
 * with tensors of any dtype, shape, strides and offset in buffers. Nothing may crash; what fails
 * has a sentence.
 */
#include <clattn/kv.h>
#include <clattn/layers.h>
#include <clattn/linear.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUFFERS = 4, PLANS = 2, BYTES = 1 << 16, STEPS = 24 };

typedef struct machine {
    const uint8_t *data;
    size_t size;
    clattn_ctx *ctx;
    clattn_buffer *buffer[BUFFERS];
    clattn_plan *plan[PLANS];
    clattn_kv *kv;
} machine;

/* ---- numbers ---- */

static uint8_t byte(machine *m)
{
    if (m->size == 0)
        return 0;
    m->size--;
    return *m->data++;
}

static int64_t number(machine *m)
{
    static const int64_t numbers[] = { 1,  2, 3, 4,  8,         16,        17,       32,
                                       33, 5, 0, -1, INT32_MAX, INT64_MIN, INT64_MAX };
    return numbers[byte(m) % (sizeof numbers / sizeof numbers[0])];
}

static bool chance(machine *m, int percent)
{
    return byte(m) * 100 / 256 < percent;
}

static float real(machine *m)
{
    static const float reals[] = { 0, 1, -1, 0.125f, 1e30f, -1e-30f, 50 };
    return reals[byte(m) % (sizeof reals / sizeof reals[0])];
}

/* ---- tensors ---- */

/* rank axes, dense as a rule, at the start of a buffer or somewhere in it. */
static clattn_tensor tensor(machine *m, int rank)
{
    int64_t shape[CLATTN_MAX_RANK + 1];
    const int dtype = chance(m, 80) ? CLATTN_F32 : byte(m) % 9;
    if (chance(m, 4))
        rank = byte(m) % (CLATTN_MAX_RANK + 2);
    for (int i = 0; i < CLATTN_MAX_RANK + 1; i++)
        shape[i] = number(m);
    clattn_tensor t =
        clattn_tensor_of_buffer(m->buffer[byte(m) % BUFFERS], (clattn_dtype)dtype, rank, shape);
    if (chance(m, 10))
        t.offset = number(m);
    for (int i = 0; i < CLATTN_MAX_RANK && chance(m, 10); i++)
        t.stride[byte(m) % CLATTN_MAX_RANK] = number(m);
    if (chance(m, 5))
        t = clattn_tensor_swap(t, (int)number(m), (int)number(m));
    if (chance(m, 5))
        t = clattn_tensor_slice(t, (int)number(m), number(m), number(m));
    if (chance(m, 5))
        t = clattn_tensor_repeat(t, (int)number(m), number(m));
    return t;
}

static clattn_tensor maybe(machine *m, int rank)
{
    return chance(m, 15) ? tensor(m, rank) : (clattn_tensor){ 0 };
}

/* Tensors that fit together, in buffers of their own: four with axes B, H, N, D. */
static void family(machine *m, clattn_tensor t[4])
{
    const int64_t B = 1 + byte(m) % 3, Hk = 1 + byte(m) % 3, G = 1 + byte(m) % 3;
    const int64_t Nq = byte(m) % 20, Nk = byte(m) % 20, D = 1 + byte(m) % 20, Dv = 1 + byte(m) % 20;
    const int64_t shapes[4][4] = {
        { B, Hk * G, Nq, D }, { B, Hk, Nk, D }, { B, Hk, Nk, Dv }, { B, Hk * G, Nq, Dv }
    };
    for (int i = 0; i < 4; i++)
        t[i] = chance(m, 95) ? clattn_tensor_of_buffer(m->buffer[i], CLATTN_F32, 4, shapes[i])
                             : tensor(m, 4);
}

/* ---- calls ---- */

static clattn_status attention(machine *m, clattn_plan **plan)
{
    clattn_tensor t[4];
    family(m, t);
    struct clattn_attention_params p =
        *clattn_attention_params(.q = t[0], .k = t[1], .v = t[2], .o = t[3], .lse = maybe(m, 3),
                                 .probs = maybe(m, 4), .mask = maybe(m, 4), .bias = maybe(m, 4),
                                 .alibi = maybe(m, 1), .sinks = maybe(m, 1), .scale = real(m),
                                 .causal = (clattn_causal)(byte(m) % 4), .window = chance(m, 20),
                                 .window_left = number(m), .window_right = number(m));
    if (chance(m, 20))
        p.softcap = real(m);
    if (chance(m, 20)) {
        p.kv = m->kv;
        p.k = p.v = (clattn_tensor){ 0 };
        p.kv_sequence = chance(m, 20) ? number(m) : 0;
    }
    return plan ? clattn_plan_attention(m->ctx, &p, plan) : clattn_attention(m->ctx, &p);
}

static clattn_status argmax(machine *m, clattn_plan **plan)
{
    clattn_tensor t[4];
    family(m, t);
    const struct clattn_argmax_params p =
        *clattn_argmax_params(.q = t[0], .k = t[1], .v = t[2], .o = t[3], .index = maybe(m, 3),
                              .mask = maybe(m, 4), .causal = (clattn_causal)(byte(m) % 4));
    return plan ? clattn_plan_argmax(m->ctx, &p, plan) : clattn_argmax(m->ctx, &p);
}

static clattn_status linear(machine *m, clattn_plan **plan)
{
    clattn_tensor t[4];
    family(m, t);
    const struct clattn_linear_attention_params p =
        *clattn_linear_attention_params(.q = t[0], .k = t[1], .v = t[2], .o = t[3],
                                        .map = (clattn_feature_map)(byte(m) % 6),
                                        .form = (clattn_linear_form)(byte(m) % 4),
                                        .causal = chance(m, 50), .scale = real(m));
    return plan ? clattn_plan_linear_attention(m->ctx, &p, plan)
                : clattn_linear_attention(m->ctx, &p);
}

static clattn_status projection(machine *m, clattn_plan **plan)
{
    const int64_t N = 1 + byte(m) % 30, M = 1 + byte(m) % 40, K = 1 + byte(m) % 40;
    struct clattn_projection_params p =
        *clattn_projection_params(.x = clattn_tensor_of_buffer(m->buffer[0], CLATTN_F32, 2,
                                                               (int64_t[]){ N, M }));
    p.parts[0].w = clattn_tensor_of_buffer(m->buffer[1], CLATTN_F32, 2, (int64_t[]){ K, M });
    p.parts[0].y = clattn_tensor_of_buffer(m->buffer[2], CLATTN_F32, 2, (int64_t[]){ N, K });
    p.parts[0].bias = maybe(m, 1);
    p.parts[0].residual = maybe(m, 2);
    if (chance(m, 10))
        p.parts[1].w = tensor(m, 2);
    if (chance(m, 10))
        p.x = tensor(m, 2);
    return plan ? clattn_plan_projection(m->ctx, &p, plan) : clattn_projection(m->ctx, &p);
}

static clattn_status rows(machine *m, clattn_plan **plan)
{
    const clattn_tensor x = tensor(m, 2), y = chance(m, 20) ? x : tensor(m, 2);
    const struct clattn_rowwise_params p =
        *clattn_rowwise_params(.x = x, .y = y, .weight = maybe(m, 1), .bias = maybe(m, 1),
                               .function = (clattn_row_function)(byte(m) % 8), .eps = real(m),
                               .scale = real(m));
    return plan ? clattn_plan_rowwise(m->ctx, &p, plan) : clattn_rowwise(m->ctx, &p);
}

static clattn_status merge(machine *m, clattn_plan **plan)
{
    const struct clattn_merge_params p =
        *clattn_merge_params(.o_parts = tensor(m, 5), .lse_parts = tensor(m, 4), .o = tensor(m, 4),
                             .lse = maybe(m, 3));
    return plan ? clattn_plan_merge(m->ctx, &p, plan) : clattn_merge(m->ctx, &p);
}

static clattn_status make_cache(machine *m)
{
    clattn_kv_destroy(&m->kv);
    return clattn_kv_create(
        m->ctx,
        clattn_kv_params(.sequences = number(m), .heads = 1 + byte(m) % 3,
                         .key_width = 1 + byte(m) % 20, .value_width = byte(m) % 20,
                         .capacity = chance(m, 90) ? 1 + byte(m) % 60 : number(m),
                         .dtype = (clattn_dtype)(byte(m) % 9),
                         .page_rows = chance(m, 50) ? 16 << byte(m) % 2 : number(m),
                         .window = chance(m, 20) ? number(m) : 0),
        &m->kv);
}

static clattn_status change_cache(machine *m)
{
    int64_t from[3] = { number(m), number(m), number(m) };
    if (!m->kv)
        return CLATTN_OK;
    switch (byte(m) % 4) {
    case 0:
        return clattn_kv_truncate(m->kv, number(m), number(m));
    case 1:
        return clattn_kv_fork(m->kv, number(m), number(m));
    case 2:
        return clattn_kv_length(m->kv, 2) >= 0 && clattn_kv_length(m->kv, 3) < 0
                   ? clattn_kv_reorder(m->kv, from)
                   : CLATTN_OK;
    default: {
        clattn_tensor t[4];
        family(m, t);
        return clattn_kv_append(m->ctx, clattn_kv_append_params(.kv = m->kv, .k = t[1], .v = t[2]));
    }
    }
}

static clattn_status change_buffer(machine *m)
{
    static const float numbers[64] = { 1, -2, 3, 0.5f };
    clattn_buffer **buffer = &m->buffer[byte(m) % BUFFERS];
    if (*buffer && chance(m, 80))
        return clattn_buffer_write(*buffer, (size_t)number(m) * 4, numbers, byte(m));
    clattn_buffer_destroy(buffer);
    return clattn_buffer_create(m->ctx, chance(m, 80) ? BYTES : (size_t)number(m), buffer);
}

static clattn_status step(machine *m)
{
    static clattn_status (*const calls[])(
        machine *, clattn_plan **) = { attention, argmax, linear, projection, rows, merge };
    enum { CALLS = sizeof calls / sizeof calls[0] };
    clattn_plan **plan = &m->plan[byte(m) % PLANS];
    const int what = byte(m) % (2 * CALLS + 4);
    if (what < CALLS)
        return calls[what](m, NULL);
    if (what < 2 * CALLS) {
        clattn_plan_destroy(plan);
        return calls[what - CALLS](m, plan);
    }
    switch (what - 2 * CALLS) {
    case 0:
        return *plan ? clattn_plan_run(*plan) : CLATTN_OK;
    case 1:
        return make_cache(m);
    case 2:
        return change_cache(m);
    default:
        return change_buffer(m);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    machine m = { .data = data, .size = size };
    if (clattn_ctx_create(clattn_ctx_params(.device = "cpu", .num_threads = 1), &m.ctx)
        != CLATTN_OK)
        abort();
    for (int i = 0; i < BUFFERS; i++)
        if (clattn_buffer_create(m.ctx, BYTES, &m.buffer[i]) != CLATTN_OK)
            abort();
    for (int i = 0; i < STEPS && m.size > 0; i++)
        if (step(&m) != CLATTN_OK && !clattn_error(m.ctx)[0])
            abort();
    for (int i = 0; i < PLANS; i++)
        clattn_plan_destroy(&m.plan[i]);
    clattn_kv_destroy(&m.kv);
    for (int i = 0; i < BUFFERS; i++)
        clattn_buffer_destroy(&m.buffer[i]);
    clattn_ctx_destroy(&m.ctx);
    return 0;
}
