/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_case.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "storage.h"

/* Room of a contiguous cache beyond its longest sequence, pages beyond those in use. */
enum { SPARE_ROWS = 3, SPARE_PAGES = 2 };

bool cache_is_quantised(clattn_dtype dtype)
{
    return dtype == CLATTN_I8 || dtype == CLATTN_I4;
}

int cache_row_elements(clattn_dtype dtype, int width)
{
    return dtype == CLATTN_I4 ? (width + 1) / 2 : width;
}

int cache_row_scales(clattn_dtype dtype, int width)
{
    if (dtype == CLATTN_I4)
        return (width + CACHE_GROUP - 1) / CACHE_GROUP;
    return dtype == CLATTN_I8;
}

int cache_levels(clattn_dtype dtype)
{
    return dtype == CLATTN_I4 ? 7 : 127;
}

/* Elements [first, return) share a scale. */
static int group_end(clattn_dtype dtype, int first, int width)
{
    return dtype == CLATTN_I4 && first + CACHE_GROUP < width ? first + CACHE_GROUP : width;
}

/* NaN or inf in, NaN out. */
static float scale_of(clattn_dtype dtype, const float *x, int n)
{
    float most = 0;
    for (int i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return NAN;
        most = fmaxf(most, fabsf(x[i]));
    }
    return most / (float)cache_levels(dtype);
}

void cache_quantise(clattn_dtype dtype, const float *x, int width, unsigned char *stored,
                    float *scales, float *back)
{
    for (int first = 0; first < width; first = group_end(dtype, first, width)) {
        const int end = group_end(dtype, first, width);
        const float scale = scale_of(dtype, x + first, end - first);
        if (scales)
            scales[dtype == CLATTN_I4 ? first / CACHE_GROUP : 0] = scale;
        for (int d = first; d < end; d++) {
            const int q = scale > 0 ? (int)nearbyint((double)x[d] / (double)scale) : 0;
            back[d] = scale * (float)q;
            if (stored && dtype == CLATTN_I8)
                stored[d] = (unsigned char)(q & 255);
            if (stored && dtype == CLATTN_I4)
                stored[d / 2] = (unsigned char)(d % 2 ? stored[d / 2] | (q & 15) << 4 : q & 15);
        }
    }
}

/* A whole number of scales, half a scale from x at most; division may be off by 3 ulp. */
static bool may_be(float x, float got, float scale, int levels)
{
    if (isnan(scale))
        return isnan(got);
    if (scale == 0)
        return got == 0;
    const double n = nearbyint((double)got / (double)scale);
    return fabs(n) <= levels
        && fabs((double)got - n * (double)scale) <= 4 * storage_ulp(CLATTN_F32, (double)got)
        && fabs((double)got - (double)x) <= (double)scale * (0.5 + 0x1p-20 * levels);
}

void cache_check_row(const char *what, clattn_dtype dtype, const float *x, int width,
                     const float *got)
{
    for (int first = 0; first < width; first = group_end(dtype, first, width)) {
        const int end = group_end(dtype, first, width);
        const float scale =
            cache_is_quantised(dtype) ? scale_of(dtype, x + first, end - first) : 0;
        for (int d = first; d < end; d++) {
            const float want = cache_is_quantised(dtype) ? x[d] : storage_round(dtype, x[d]);
            const bool same = memcmp(&want, &got[d], sizeof want) == 0
                           || (isnan(want) && isnan(got[d]));
            ck_assert_msg(cache_is_quantised(dtype)
                              ? may_be(x[d], got[d], scale, cache_levels(dtype))
                              : same,
                          "%s: %s: element %d is %.9g, from %.9g in %s", compare_label_text(), what,
                          d, (double)got[d], (double)x[d], clattn_dtype_name(dtype));
        }
    }
}

/* ---- the numbers of a case ---- */

static void store_rows(clattn_dtype dtype, float *x, size_t rows, int width, unsigned char **stored,
                       float **scales)
{
    const size_t elements = (size_t)cache_row_elements(dtype, width);
    const size_t per_row = (size_t)cache_row_scales(dtype, width);

    *stored = memory_alloc(rows * elements * clattn_dtype_size(dtype));
    *scales = memory_alloc(rows * per_row * sizeof **scales);
    for (size_t r = 0; r < rows; r++) {
        float *row = x + r * (size_t)width;
        if (cache_is_quantised(dtype)) {
            cache_quantise(dtype, row, width, *stored + r * elements, *scales + r * per_row, row);
            continue;
        }
        for (int d = 0; d < width; d++) {
            row[d] = storage_round(dtype, row[d]);
            storage_put(dtype, *stored, r * elements + (size_t)d, row[d]);
        }
    }
}

void cache_store(attn_data *d)
{
    const attn_spec *s = &d->spec;
    const size_t rows = d->k_rows * (size_t)s->Hk;

    store_rows(s->kv, d->k, rows, s->D, &d->k_stored, &d->k_scale);
    store_rows(s->kv, d->v, rows, s->Dv, &d->v_stored, &d->v_scale);
}

/* ---- tensors ---- */

/* Where the rows of sequences lie in the tensors of a cache. */
typedef struct placement {
    const attn_data *data;
    int parts, rows;     /* pages, or sequences, of so many rows */
    int pages;           /* of a sequence; 0: contiguous */
    const int32_t *table;
} placement;

static size_t row_at(const placement *p, int b, int h, int j)
{
    const int part = p->pages ? p->table[b * p->pages + j / p->rows] : b;
    return ((size_t)part * p->data->spec.Hk + h) * p->rows + j % p->rows;
}

/* From packed rows [T][Hk] of `bytes` each to the tensor, whose other rows stay poisoned. */
static void put_rows(const placement *p, test_memory *m, const void *packed, size_t bytes)
{
    const attn_data *d = p->data;
    const size_t total = (size_t)clattn_tensor_count(&m->tensor)
                       * clattn_dtype_size(m->tensor.dtype);
    unsigned char *dense = memory_alloc(total);

    memset(dense, 0xff, total);
    for (int b = 0; b < d->spec.B; b++)
        for (int j = 0; j < d->cu_k[b + 1] - d->cu_k[b]; j++)
            for (int h = 0; h < d->spec.Hk; h++) {
                const size_t from = ((size_t)d->cu_k[b] + j) * d->spec.Hk + h;
                memcpy(dense + row_at(p, b, h, j) * bytes,
                       (const unsigned char *)packed + from * bytes, bytes);
            }
    memory_put_bytes(m, dense);
    free(dense);
}

static void make_rows(const placement *p, clattn_ctx *ctx, int width, const void *stored,
                      const float *scales, test_memory *rows, test_memory *scale)
{
    const attn_spec *s = &p->data->spec;
    const test_layout layout = attn_layout_of(s->layout, false);
    const int64_t elements = cache_row_elements(s->kv, width);
    const int64_t groups = cache_row_scales(s->kv, width);
    const int64_t shape[4] = { p->parts, s->Hk, p->rows, elements };
    const int64_t scale_shape[4] = { p->parts, s->Hk, p->rows, groups };

    memory_make(rows, ctx, false, s->kv, 4, shape, &layout);
    put_rows(p, rows, stored, (size_t)elements * clattn_dtype_size(s->kv));
    if (groups == 0)
        return;
    memory_make(scale, ctx, false, CLATTN_F32, s->kv == CLATTN_I4 ? 4 : 3, scale_shape, &layout);
    put_rows(p, scale, scales, (size_t)groups * sizeof *scales);
}

/* A page for each part of each sequence, shuffled; -1 where none is needed. */
static int32_t *shuffled_pages(const attn_data *d, int pages, int total, int page_rows, bool host)
{
    test_rng rng = { (uint64_t)total };
    int32_t *order = memory_alloc((size_t)(total + 1) * sizeof *order);
    int32_t *table = memory_alloc((size_t)(d->spec.B * pages + 1) * sizeof *table);

    for (int i = 0; i < total; i++) {
        const int other = rng_below(&rng, i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    for (int i = 0; i < d->spec.B * pages; i++) {
        const int b = i / pages, used = (d->cu_k[b + 1] - d->cu_k[b] + page_rows - 1) / page_rows;
        table[i] = i % pages < used ? order[i] : host ? 0 : -1;
    }
    free(order);
    return table;
}

static void make_numbers(attn_run *run, clattn_ctx *ctx, const placement *p)
{
    const attn_data *d = run->data;
    const int64_t shape[2] = { d->spec.B, p->pages };
    int32_t *lengths = memory_alloc((size_t)(d->spec.B + 1) * sizeof *lengths);

    for (int b = 0; b < d->spec.B; b++)
        lengths[b] = d->cu_k[b + 1] - d->cu_k[b];
    memory_make(&run->lengths, ctx, false, CLATTN_I32, 1, shape, NULL);
    memory_put_bytes(&run->lengths, lengths);
    if (p->pages) {
        memory_make(&run->table, ctx, false, CLATTN_I32, 2, shape, NULL);
        memory_put_bytes(&run->table, p->table);
    }
    free(lengths);
}

clattn_tensor cache_by_sequence(clattn_tensor t, int B, int N)
{
    const clattn_tensor packed = t;

    t.rank = 4;
    t.shape[0] = B, t.stride[0] = N * packed.stride[0];
    t.shape[1] = packed.shape[1], t.stride[1] = packed.stride[1];
    t.shape[2] = N, t.stride[2] = packed.stride[0];
    t.shape[3] = packed.shape[2], t.stride[3] = packed.stride[2];
    return t;
}

clattn_tensor cache_rows_by_sequence(clattn_tensor t, int B, int N)
{
    const clattn_tensor packed = t;

    if (t.dtype == CLATTN_NONE)
        return t;
    t.rank = 3;
    t.shape[0] = B, t.stride[0] = N * packed.stride[1];
    t.shape[1] = packed.shape[0], t.stride[1] = packed.stride[0];
    t.shape[2] = N, t.stride[2] = packed.stride[1];
    return t;
}

static void set_params(attn_run *run)
{
    const attn_spec *s = &run->data->spec;
    const clattn_kv_layout layout = { run->lengths.tensor, run->table.tensor, run->k_scale.tensor,
                                      run->v_scale.tensor };
    struct clattn_attention_params *p = &run->params;
    struct clattn_argmax_params *a = &run->argmax;

    p->q = a->q = cache_by_sequence(run->q.tensor, s->B, s->Nq);
    p->o = a->o = cache_by_sequence(run->o.tensor, s->B, s->Nq);
    p->k = a->k = run->k.tensor;
    p->v = a->v = run->v.tensor;
    p->lse = cache_rows_by_sequence(run->lse.tensor, s->B, s->Nq);
    a->index = cache_rows_by_sequence(run->index.tensor, s->B, s->Nq);
    p->layout = a->layout = layout;
    p->max_seqlen_k = a->max_seqlen_k = s->Nk;
    p->cu_seqlens_q = p->cu_seqlens_k = a->cu_seqlens_q = a->cu_seqlens_k = (clattn_tensor){ 0 };
    p->max_seqlen_q = a->max_seqlen_q = 0;
}

void cache_run_make(attn_run *run, clattn_ctx *ctx)
{
    const attn_data *d = run->data;
    const attn_spec *s = &d->spec;
    placement p = { .data = d, .parts = s->B, .rows = s->Nk + SPARE_ROWS };
    int32_t *table = NULL;

    if (s->page_rows) {
        p.rows = s->page_rows;
        p.pages = (s->Nk + p.rows - 1) / p.rows + 1;
        p.parts = s->B * p.pages + SPARE_PAGES;
        p.table = table = shuffled_pages(d, p.pages, p.parts, p.rows, !ctx);
    }
    make_rows(&p, ctx, s->D, d->k_stored, d->k_scale, &run->k, &run->k_scale);
    make_rows(&p, ctx, s->Dv, d->v_stored, d->v_scale, &run->v, &run->v_scale);
    make_numbers(run, ctx, &p);
    set_params(run);
    free(table);
}
