/* SPDX-License-Identifier: Apache-2.0 */
/* Reading rows of a KV cache back, as f32. */
#include <stdlib.h>

#include "kv.h"

/* Keys or values of the cache. */
typedef struct source {
    const clattn_kv *kv;
    clattn_buffer *data, *scale;
    int32_t width;
    size_t row_bytes, row_scales;
    char *rows;    /* scratch: rows of one page and head, their scales, one row as floats */
    float *scales, *row;
} source;

static void source_free(source *s)
{
    free(s->rows);
    free(s->scales);
    free(s->row);
}

static clattn_status source_init(source *s, const clattn_kv *kv, bool values)
{
    const size_t heads = (size_t)kv->pages.num_pages * (size_t)kv->Hk;
    const size_t page_rows = (size_t)kv->pages.page_rows;
    *s = (source){ .kv = kv, .data = values ? kv->v : kv->k,
                   .scale = values ? kv->v_scale : kv->k_scale,
                   .width = values ? kv->Dv : kv->D };
    s->row_bytes = s->data->bytes / heads / page_rows;
    s->row_scales = s->scale ? s->scale->bytes / sizeof(float) / heads / page_rows : 0;
    s->rows = malloc(s->row_bytes * page_rows);
    s->scales = malloc((s->row_scales + 1) * page_rows * sizeof *s->scales);
    s->row = malloc(((size_t)s->width + 1) * sizeof *s->row);
    CLA_REQUIRE(kv->ctx, s->rows && s->scales && s->row, CLATTN_ERR_MEMORY,
                "kv_read: out of host memory");
    return CLATTN_OK;
}

static void unpack_row(const source *s, size_t r, float *out)
{
    const bool halves = s->kv->dtype == CLATTN_I4;
    const size_t n = halves ? ((size_t)s->width + 1) / 2 : (size_t)s->width;
    clattn_to_f32(s->kv->dtype, s->rows + r * s->row_bytes, s->row, n);
    for (int32_t d = 0; d < s->width; d++) {
        const float *scale = s->scales + r * s->row_scales + (halves ? d / 32 : 0);
        out[d] = s->scale ? *scale * s->row[d] : s->row[d];
    }
}

/* Rows [row, row + count) of one page and head. */
static clattn_status read_page(const source *s, int32_t page, int32_t h, int64_t row,
                               int64_t count, float *out)
{
    const size_t first =
        ((size_t)page * (size_t)s->kv->Hk + (size_t)h) * (size_t)s->kv->pages.page_rows
        + (size_t)row;
    CLA_TRY(clattn_buffer_read(s->data, first * s->row_bytes, s->rows,
                               (size_t)count * s->row_bytes));
    if (s->scale)
        CLA_TRY(clattn_buffer_read(s->scale, first * s->row_scales * sizeof(float), s->scales,
                                   (size_t)count * s->row_scales * sizeof(float)));
    for (int64_t r = 0; r < count; r++)
        unpack_row(s, (size_t)r, out + r * s->width);
    return CLATTN_OK;
}

/* first counts the rows that are held. */
static clattn_status read_rows(const source *s, int32_t b, int64_t first, int64_t count,
                               float *out)
{
    const cla_kv_pages *p = &s->kv->pages;
    const int32_t *pages = p->table + (size_t)b * (size_t)p->most;
    for (int32_t h = 0; h < s->kv->Hk; h++)
        for (int64_t at = first; at < first + count;) {
            const int64_t row = at % p->page_rows, left = first + count - at;
            const int64_t n = left < p->page_rows - row ? left : p->page_rows - row;
            CLA_TRY(read_page(s, pages[at / p->page_rows], h, row, n,
                              out + (h * count + at - first) * s->width));
            at += n;
        }
    return CLATTN_OK;
}

static clattn_status read_one(const clattn_kv *kv, bool values, int32_t b, int64_t first,
                              int64_t count, float *out)
{
    source s;
    if (!out)
        return CLATTN_OK;
    clattn_status status = source_init(&s, kv, values);
    if (status == CLATTN_OK)
        status = read_rows(&s, b, first - kv->pages.seq[b].base, count, out);
    source_free(&s);
    return status;
}

clattn_status clattn_kv_read(clattn_kv *kv, int64_t sequence, int64_t first, int64_t count,
                             float *k, float *v)
{
    if (!kv)
        return CLATTN_ERR_ARG;
    CLA_TRY(cla_enter(kv->ctx));
    CLA_TRY(cla_kv_check(kv->ctx, "kv_read", kv, sequence, 1));
    const cla_kv_seq *s = &kv->pages.seq[sequence];
    CLA_REQUIRE(kv->ctx, first >= s->base && count >= 0 && first <= s->length
                    && count <= s->length - first, CLATTN_ERR_SHAPE,
                "kv_read: %lld rows from %lld on of sequence %lld, which holds %lld to %lld",
                (long long)count, (long long)first, (long long)sequence, (long long)s->base,
                (long long)s->length - 1);
    CLA_TRY(read_one(kv, false, (int32_t)sequence, first, count, k));
    return read_one(kv, true, (int32_t)sequence, first, count, v);
}
