/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the sequences of a KV cache: growing, cutting, forking, reordering. */
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "kv.h"

/* ---- telling the device ---- */

static int32_t *mirror_of(const clattn_kv *kv, int part)
{
    return kv->mirror + (size_t)part * (size_t)kv->pages.sequences;
}

/* The next rows of a sequence are those after the `grown` last ones. */
static void mirror_sequence(const clattn_kv *kv, int32_t b, int64_t grown)
{
    const cla_kv_pages *p = &kv->pages;
    const int64_t rows = cla_kv_rows(p, b), before = p->seq[b].length - grown;
    mirror_of(kv, CLA_KV_STARTS)[b] = (int32_t)(rows - grown);
    mirror_of(kv, CLA_KV_POSITIONS)[b] = (int32_t)before;
    mirror_of(kv, CLA_KV_LENGTHS)[b] = (int32_t)rows;
}

static clattn_status upload_table(clattn_kv *kv)
{
    cla_kv_pages *p = &kv->pages;
    const size_t row = (size_t)p->most * sizeof *p->table;
    const size_t count = (size_t)(p->moved_end - p->moved_begin);
    if (p->moved_end <= p->moved_begin)
        return CLATTN_OK;
    CLA_TRY(cla_buffer_write_later(kv->table, (size_t)p->moved_begin * row,
                                   p->table + (size_t)p->moved_begin * (size_t)p->most,
                                   count * row));
    p->moved_begin = p->moved_end = 0;
    return CLATTN_OK;
}

/*
 * Work that was queued before sees the old state, work queued after the new one. A step of decoding
 * seldom moves a page: then the table, the larger part by far, stays as it is.
 */
static clattn_status send(clattn_kv *kv)
{
    kv->untold = true;
    CLA_TRY(upload_table(kv));
    CLA_TRY(cla_buffer_write_later(kv->state, 0, kv->mirror,
                                   CLA_KV_COUNTS * (size_t)kv->pages.sequences
                                       * sizeof *kv->mirror));
    kv->untold = false;
    return CLATTN_OK;
}

static clattn_status upload(clattn_kv *kv, int32_t first, int32_t count, int64_t grown)
{
    for (int32_t b = first; b < first + count; b++)
        mirror_sequence(kv, b, grown);
    return send(kv);
}

/* After a failure, whose sentence stays. Should this fail too, cla_kv_tell() makes up for it. */
static void upload_after_failure(clattn_kv *kv, int32_t first, int32_t count)
{
    char sentence[sizeof kv->ctx->error];
    memcpy(sentence, kv->ctx->error, sizeof sentence);
    upload(kv, first, count, 0);
    memcpy(kv->ctx->error, sentence, sizeof sentence);
}

clattn_status cla_kv_tell(clattn_kv *kv)
{
    return kv->untold ? send(kv) : CLATTN_OK;
}

/* ---- copies ---- */

static const clattn_buffer *const *data_of(const clattn_kv *kv, const clattn_buffer *list[4])
{
    list[0] = kv->k, list[1] = kv->v, list[2] = kv->k_scale, list[3] = kv->v_scale;
    return list;
}

static size_t page_bytes(const clattn_kv *kv, const clattn_buffer *data)
{
    return data->bytes / (size_t)kv->pages.num_pages;
}

/* Rows [0, rows) of all heads, page to page; head: bytes of all rows of a head of a page. */
static clattn_status copy_rows(const clattn_kv *kv, size_t head, const clattn_buffer *src,
                               int32_t from, const clattn_buffer *dst, int32_t to, int64_t rows)
{
    const size_t bytes = head / (size_t)kv->pages.page_rows * (size_t)rows;
    for (int32_t h = 0; h < kv->Hk && bytes > 0; h++)
        CLA_TRY(cla_buffer_copy(src, ((size_t)from * kv->Hk + (size_t)h) * head, dst,
                                ((size_t)to * kv->Hk + (size_t)h) * head, bytes));
    return CLATTN_OK;
}

static clattn_status copy_pages(clattn_kv *kv)
{
    const clattn_buffer *list[4];
    data_of(kv, list);
    for (int32_t i = 0; i < kv->pages.num_copies; i++)
        for (int n = 0; n < 4; n++) {
            const cla_kv_copy copy = kv->pages.copies[i];
            const size_t bytes = list[n] ? page_bytes(kv, list[n]) : 0;
            if (bytes > 0)
                CLA_TRY(cla_buffer_copy(list[n], (size_t)copy.from * bytes, list[n],
                                        (size_t)copy.to * bytes, bytes));
        }
    return CLATTN_OK;
}

/* ---- growing ---- */

void cla_kv_undo(clattn_kv *kv)
{
    const int32_t first = kv->pages.first, count = kv->pages.count;
    cla_kv_pages_undo(&kv->pages);
    upload_after_failure(kv, first, count);
}

/* Of a change of pages and lengths alone. */
static clattn_status commit(clattn_kv *kv)
{
    const clattn_status s = upload(kv, kv->pages.first, kv->pages.count, 0);
    if (s == CLATTN_OK)
        cla_kv_pages_commit(&kv->pages);
    else
        cla_kv_undo(kv);
    return s;
}

clattn_status cla_kv_grow(clattn_kv *kv, int32_t first, int32_t count, int64_t n)
{
    clattn_status s = cla_kv_pages_append(kv->ctx, &kv->pages, first, count, n);
    if (s != CLATTN_OK) {
        upload_after_failure(kv, first, count); /* a window may have moved on all the same */
        return s;
    }
    s = copy_pages(kv);
    if (s == CLATTN_OK)
        s = upload(kv, first, count, n);
    if (s != CLATTN_OK)
        cla_kv_undo(kv);
    return s;
}

/* ---- cutting ---- */

clattn_status clattn_kv_truncate(clattn_kv *kv, int64_t sequence, int64_t length)
{
    if (!kv)
        return CLATTN_ERR_ARG;
    CLA_TRY(cla_enter(kv->ctx));
    CLA_TRY(cla_kv_check(kv->ctx, "kv_truncate", kv, sequence, 1));
    cla_kv_pages *p = &kv->pages;
    const cla_kv_seq *s = &p->seq[sequence];
    CLA_REQUIRE(kv->ctx, length >= 0 && length <= s->length, CLATTN_ERR_SHAPE,
                "kv_truncate: length %lld for sequence %lld, which has %lld rows",
                (long long)length, (long long)sequence, (long long)s->length);
    CLA_REQUIRE(kv->ctx, length == 0 || s->base == 0 || length - p->window >= s->base,
                CLATTN_ERR_SHAPE,
                "kv_truncate: row %lld of sequence %lld would see %lld rows before it, those "
                "before row %lld are gone", (long long)(length - 1), (long long)sequence,
                (long long)(length < p->window ? length : p->window) - 1, (long long)s->base);
    cla_kv_pages_truncate(p, (int32_t)sequence, length);
    return commit(kv);
}

/* ---- forking and reordering ---- */

/* Is the source of b overwritten as well? Then its rows wait in scratch memory. */
static bool by_scratch(const int32_t *from, int32_t b)
{
    return from[b] != b && from[from[b]] != from[b];
}

/* Contiguous sequences are copied. */
static clattn_status move_rows(clattn_kv *kv, const int32_t *from, const clattn_buffer *data)
{
    const cla_kv_pages *p = &kv->pages;
    const size_t page = data ? page_bytes(kv, data) : 0, head = page / (size_t)kv->Hk;
    clattn_buffer *scratch = NULL;
    clattn_status s = CLATTN_OK;
    size_t waiting = 0;
    for (int32_t b = 0; b < p->sequences; b++)
        waiting += by_scratch(from, b);
    if (page > 0 && waiting > 0)
        CLA_TRY(clattn_buffer_create(kv->ctx, waiting * page, &scratch));
    for (int32_t b = 0, n = 0; page > 0 && b < p->sequences && s == CLATTN_OK; b++)
        if (by_scratch(from, b))
            s = copy_rows(kv, head, data, from[b], scratch, n++, p->seq[from[b]].length);
    for (int32_t b = 0, n = 0; page > 0 && b < p->sequences && s == CLATTN_OK; b++) {
        const int64_t rows = p->seq[from[b]].length;
        if (by_scratch(from, b))
            s = copy_rows(kv, head, scratch, n++, data, b, rows);
        else if (from[b] != b)
            s = copy_rows(kv, head, data, from[b], data, b, rows);
    }
    clattn_buffer_destroy(&scratch);
    return s;
}

static clattn_status move_all_rows(clattn_kv *kv, const int32_t *from)
{
    const clattn_buffer *list[4];
    data_of(kv, list);
    for (int n = 0; n < 4; n++)
        CLA_TRY(move_rows(kv, from, list[n]));
    for (int32_t b = 0; b < kv->pages.sequences; b++)
        kv->pages.old_seq[b].length = kv->pages.seq[from[b]].length;
    for (int32_t b = 0; b < kv->pages.sequences; b++)
        kv->pages.seq[b].length = kv->pages.old_seq[b].length;
    return CLATTN_OK;
}

static clattn_status rearrange(clattn_kv *kv, const int32_t *from)
{
    if (kv->paged) {
        cla_kv_pages_share(&kv->pages, from);
        return commit(kv);
    }
    CLA_TRY(move_all_rows(kv, from));
    return upload(kv, 0, kv->pages.sequences, 0);
}

static clattn_status identity(clattn_kv *kv, const char *op, int32_t **out)
{
    *out = malloc((size_t)kv->pages.sequences * sizeof **out);
    CLA_REQUIRE(kv->ctx, *out, CLATTN_ERR_MEMORY, "%s: out of host memory", op);
    for (int32_t b = 0; b < kv->pages.sequences; b++)
        (*out)[b] = b;
    return CLATTN_OK;
}

clattn_status clattn_kv_fork(clattn_kv *kv, int64_t from, int64_t to)
{
    if (!kv)
        return CLATTN_ERR_ARG;
    CLA_TRY(cla_enter(kv->ctx));
    CLA_TRY(cla_kv_check(kv->ctx, "kv_fork", kv, from, 1));
    CLA_TRY(cla_kv_check(kv->ctx, "kv_fork", kv, to, 1));
    int32_t *map;
    CLA_TRY(identity(kv, "kv_fork", &map));
    map[to] = (int32_t)from;
    const clattn_status s = rearrange(kv, map);
    free(map);
    return s;
}

clattn_status clattn_kv_reorder(clattn_kv *kv, const int64_t *from)
{
    if (!kv)
        return CLATTN_ERR_ARG;
    CLA_TRY(cla_enter(kv->ctx));
    CLA_REQUIRE(kv->ctx, from, CLATTN_ERR_ARG, "kv_reorder: from is NULL");
    for (int32_t b = 0; b < kv->pages.sequences; b++)
        CLA_TRY(cla_kv_check(kv->ctx, "kv_reorder", kv, from[b], 1));
    int32_t *map;
    CLA_TRY(identity(kv, "kv_reorder", &map));
    for (int32_t b = 0; b < kv->pages.sequences; b++)
        map[b] = (int32_t)from[b];
    const clattn_status s = rearrange(kv, map);
    free(map);
    return s;
}
