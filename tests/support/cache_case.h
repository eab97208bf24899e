/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a KV cache as the tests store them: in a dtype, in pages, with scales. */
#ifndef TEST_CACHE_CASE_H
#define TEST_CACHE_CASE_H

#include "attention_case.h"

enum { CACHE_GROUP = 32 }; /* i4 elements that share a scale */

bool cache_is_quantised(clattn_dtype dtype);

/* Elements that a tensor counts in a row, and scales of a row. */
int cache_row_elements(clattn_dtype dtype, int width);
int cache_row_scales(clattn_dtype dtype, int width);

/* What the largest magnitude of a row (i4: group) is stored as: 127 or 7. */
int cache_levels(clattn_dtype dtype);

/* A row in i8 or i4, and what it reads back as. stored or scales may be NULL. */
void cache_quantise(clattn_dtype dtype, const float *x, int width, unsigned char *stored,
                    float *scales, float *back);

/* Fails the running test unless `got` is what a cache of dtype may make of x. */
void cache_check_row(const char *what, clattn_dtype dtype, const float *x, int width,
                     const float *got);

/* Of attn_data_make(): k and v become what a cache of spec.kv makes of them. */
void cache_store(attn_data *data);

/* Of attn_run_make(): k, v, scales, lengths and table, and the params that name them. */
void cache_run_make(attn_run *run, clattn_ctx *ctx);

/* Packed rows [T][H][W] of B sequences of N rows each, as [B][H][N][W]. */
clattn_tensor cache_by_sequence(clattn_tensor packed, int B, int N);

/* [H][T] of B sequences of N rows each, as [B][H][N]. */
clattn_tensor cache_rows_by_sequence(clattn_tensor t, int B, int N);

#endif
