/* SPDX-License-Identifier: Apache-2.0 */
/* The KV cache object: its memory, and what operations on it need to know. */
#ifndef CLA_KV_H
#define CLA_KV_H

#include "context.h"
#include "kv_pages.h"

struct clattn_kv {
    clattn_ctx *ctx;
    int32_t Hk, D, Dv;
    clattn_dtype dtype;
    bool paged;
    cla_kv_pages pages;
    /* [pages][Hk][page_rows][D or Dv]; scales [pages][Hk][page_rows], i4: [..][width / 32] */
    clattn_buffer *k, *v, *k_scale, *v_scale;
    /* What kernels know of the sequences, i32. */
    clattn_buffer *state;  /* [CLA_KV_COUNTS][sequences], as in the enum below */
    clattn_buffer *table;  /* [sequences][most], as in pages */
    int32_t *mirror;       /* of state */
    bool untold;           /* state or table is not what the device has */
};

enum {
    CLA_KV_STARTS,    /* rows held, before the last append */
    CLA_KV_POSITIONS, /* rows ever appended, likewise */
    CLA_KV_LENGTHS,   /* rows held */
    CLA_KV_COUNTS,
};

/* Sequences [first, first + count) of the cache; op names the call. */
clattn_status cla_kv_check(clattn_ctx *ctx, const char *op, const clattn_kv *kv, int64_t first,
                           int64_t count);

/* i32 [count]: one of the counts of state. */
clattn_tensor cla_kv_state(const clattn_kv *kv, int part, int64_t first, int64_t count);

/* i32 [count][most] */
clattn_tensor cla_kv_table(const clattn_kv *kv, int64_t first, int64_t count);

/* k or v, all pages: [pages][Hk][page rows][D or Dv]. */
clattn_tensor cla_kv_data(const clattn_kv *kv, bool values);

/* Rows of a page: a power of two, this or more. */
enum { CLA_KV_LEAST_PAGE_ROWS = 16 };
bool cla_kv_page_rows_ok(int64_t rows);

/* Their log2, rounded up: a contiguous cache has one page that no row lies beyond. */
int32_t cla_kv_page_shift(int64_t page_rows);

/*
 * Makes room for n more rows in these sequences and tells the device; then commit or undo. Nothing
 * has changed when it fails.
 */
clattn_status cla_kv_grow(clattn_kv *kv, int32_t first, int32_t count, int64_t n);

/* After a grow whose rows could not be written. The sentence of that failure stays. */
void cla_kv_undo(clattn_kv *kv);

/* Before work that reads the cache: what the device could not be told when it changed. */
clattn_status cla_kv_tell(clattn_kv *kv);

#endif
