/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a session: its caches, and what passes from one operation to the next. */
#include <stdlib.h>
#include <time.h>

#include "pass.h"

bool clm_buffer(clm_session *s, size_t rows, size_t width, size_t item, clattn_buffer **out,
                clm_fault *f)
{
    size_t bytes;
    if (__builtin_mul_overflow(rows, width, &bytes) || __builtin_mul_overflow(bytes, item, &bytes))
        return clm_fail(f, "a model of this size does not fit the memory");
    return clm_check(f, s->m->ctx, clattn_buffer_create(s->m->ctx, bytes, out));
}

static int num_caches(const clm_session *s)
{
    return s->m->config.family == CLM_GPT2 ? s->m->config.layers : 1;
}

static bool make_caches(clm_session *s, clm_fault *f)
{
    const clm_config *c = &s->m->config;
    s->kv = calloc((size_t)num_caches(s), sizeof *s->kv);
    if (!s->kv)
        return clm_out_of_memory(f);
    for (int i = 0; i < num_caches(s); i++)
        if (!clm_check(f, s->m->ctx,
                       clattn_kv_create(s->m->ctx,
                                        clattn_kv_params(.sequences = s->B, .heads = c->heads,
                                                         .key_width = c->M / c->heads,
                                                         .capacity = s->capacity,
                                                         .dtype = s->kv_dtype),
                                        &s->kv[i])))
            return false;
    return true;
}

static bool make_buffers(clm_session *s, clm_fault *f)
{
    const clm_config *c = &s->m->config;
    const size_t rows = (size_t)s->B * (size_t)s->capacity, M = (size_t)c->M;
    const size_t inner = (size_t)(c->inner > c->M ? c->inner : c->M);
    if (s->kv_dtype != CLATTN_F32
        && (!clm_buffer(s, rows, M, 4, &s->k, f) || !clm_buffer(s, rows, M, 4, &s->v, f)))
        return false;
    return clm_buffer(s, rows, 1, 4, &s->ids, f) && clm_buffer(s, rows, 1, 1, &s->mask, f)
           && clm_buffer(s, rows, M, 4, &s->x, f) && clm_buffer(s, rows, M, 4, &s->normed, f)
           && clm_buffer(s, rows, M, 4, &s->q, f) && clm_buffer(s, rows, M, 4, &s->o, f)
           && clm_buffer(s, rows, inner, 4, &s->inner, f);
}

bool clm_session_open(clm_model *m, int B, int capacity, clattn_dtype kv_dtype, clm_session **out,
                      clm_fault *f)
{
    *out = NULL;
    if (capacity < 1 || capacity > m->config.positions)
        return clm_fail(f, "%d tokens are wanted, the model has %d positions", capacity,
                        m->config.positions);
    clm_session *s = calloc(1, sizeof *s);
    if (!s)
        return clm_out_of_memory(f);
    *s = (clm_session){ .m = m, .B = B, .capacity = capacity,
                        .kv_dtype = kv_dtype == CLATTN_NONE ? CLATTN_F32 : kv_dtype };
    if (!make_caches(s, f) || !make_buffers(s, f))
        clm_session_close(&s);
    *out = s;
    return s != NULL;
}

void clm_session_close(clm_session **session)
{
    clm_session *s = *session;
    if (!s)
        return;
    for (int i = 0; s->kv && i < num_caches(s); i++)
        clattn_kv_destroy(&s->kv[i]);
    clattn_buffer **const all[] = { &s->ids, &s->mask,  &s->x,      &s->normed,  &s->q,    &s->k,
                                    &s->v,   &s->o,     &s->inner,  &s->logits, &s->weights,
                                    &s->stats };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        clattn_buffer_destroy(all[i]);
    free(s->kv);
    free(s);
    *session = NULL;
}

void clm_rewind(clm_session *s, int length)
{
    if (length < s->length)
        s->length = length;
}

bool clm_cache(clm_session *s, int layer, clattn_kv **out, clm_fault *f)
{
    *out = s->kv[num_caches(s) > 1 ? layer : 0];
    for (int b = 0; b < s->B; b++)
        if (clattn_kv_length(*out, b) > s->length
            && !clm_check(f, s->m->ctx, clattn_kv_truncate(*out, b, s->length)))
            return false;
    return true;
}

double clm_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

bool clm_done(clm_session *s, const char *name, int layer, double begin, clattn_status status,
              clm_fault *f)
{
    if (!clm_check(f, s->m->ctx, status))
        return false;
    if (!s->watch)
        return true;
    if (!clm_check(f, s->m->ctx, clattn_finish(s->m->ctx)))
        return false;
    s->watch(s->watch_user, name, layer, begin, clm_now_us());
    return true;
}

clattn_tensor clm_rows(clattn_buffer *buffer, int B, int N, int width)
{
    const int64_t shape[3] = { B, N, width };
    return clattn_tensor_of_buffer(buffer, CLATTN_F32, 3, shape);
}
