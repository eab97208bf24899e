/* SPDX-License-Identifier: Apache-2.0 */
/* Where a key or value lies: dense, in a page of a cache, quantised. As kv_row() in cl/attn.clh. */
#ifndef CLA_KV_ROW_H
#define CLA_KV_ROW_H

#include "block.h"

typedef struct cla_kv_row {
    const char *at;
    const float *scale; /* i8: one, i4: one of each 32 elements; else not to be read */
} cla_kv_row;

/* Quantised elements lie in bytes; an i4 byte is an element of its view. */
static inline int64_t cla_kv_bytes(int type)
{
    return type == CLATTN_F32 ? 4 : type == CLATTN_F16 || type == CLATTN_BF16 ? 2 : 1;
}

/* No contents of the page table can lead outside the tensors. */
static inline int64_t cla_page_of(const cla_attn *p, const cla_seq *seq, int key)
{
    const int32_t *pages = CLA_AT(const int32_t, p->table) + seq->b * p->table.stride[0];
    const int32_t page = pages[key >> p->page_shift];
    return page < 0 ? 0 : page < p->last_page ? page : p->last_page;
}

static inline cla_kv_row cla_kv_row_of(const cla_attn *p, const cla_view *data,
                                       const cla_view *scale, const cla_seq *seq, int hk, int key)
{
    int64_t part = seq->b, row = (int64_t)seq->k0 + key;
    if (p->paged) {
        part = cla_page_of(p, seq, key);
        row = key & ((1 << p->page_shift) - 1);
    }
    cla_kv_row r = { (const char *)data->host
                         + (data->offset + part * data->stride[0] + hk * data->stride[1]
                            + row * data->stride[2])
                               * cla_kv_bytes(p->kv_type),
                     NULL };
    if (p->kv_type == CLATTN_I8 || p->kv_type == CLATTN_I4)
        r.scale = CLA_AT(const float, *scale) + part * scale->stride[0] + hk * scale->stride[1]
                + row * scale->stride[2];
    return r;
}

/* 16 keys from a multiple of 16 on. No page is shorter, so that they lie in one. */
typedef struct cla_kv_rows {
    cla_kv_row first;
    ptrdiff_t step, scale_step; /* bytes, floats */
} cla_kv_rows;

static inline cla_kv_rows cla_kv_rows_of(const cla_attn *p, const cla_view *data,
                                         const cla_view *scale, const cla_seq *seq, int hk, int key)
{
    const cla_kv_row first = cla_kv_row_of(p, data, scale, seq, hk, key);
    return (cla_kv_rows){ first, data->stride[2] * cla_kv_bytes(p->kv_type),
                          first.scale ? scale->stride[2] : 0 };
}

static inline cla_kv_row cla_kv_row_at(cla_kv_rows rows, int j)
{
    return (cla_kv_row){ rows.first.at + j * rows.step,
                         rows.first.scale ? rows.first.scale + j * rows.scale_step : NULL };
}

static inline cla_kv_row cla_key_row(const cla_attn *p, const cla_seq *seq, int hk, int key)
{
    return cla_kv_row_of(p, &p->k, &p->k_scale, seq, hk, key);
}

static inline cla_kv_row cla_value_row(const cla_attn *p, const cla_seq *seq, int hk, int key)
{
    return cla_kv_row_of(p, &p->v, &p->v_scale, seq, hk, key);
}

#endif
