/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which page holds which rows of which sequence: the bookkeeping of a KV cache, without memory
 * behind it. Pages are counted by references, so that forks share them; a change is undone as a
 * whole when something after it fails.
 *
 * In a contiguous cache every sequence has one page for good, which nobody shares.
 */
#ifndef CLA_KV_PAGES_H
#define CLA_KV_PAGES_H

#include "status.h"

typedef struct cla_kv_seq {
    int64_t length;  /* rows that were appended */
    int64_t base;    /* number of the first row of the first page; a multiple of the page */
    int32_t pages;   /* pages held */
} cla_kv_seq;

/* A page to be copied before rows are written to the copy. */
typedef struct cla_kv_copy {
    int32_t from, to;
    int32_t sequence; /* that writes */
} cla_kv_copy;

/* What became of a page in a change. */
typedef enum cla_kv_fate {
    CLA_KV_TAKEN,  /* it was free */
    CLA_KV_LEFT,   /* to the others that hold it */
    CLA_KV_SHARED, /* with one more sequence */
} cla_kv_fate;

typedef struct cla_kv_step {
    int32_t page;
    cla_kv_fate fate;
} cla_kv_step;

typedef struct cla_kv_pages {
    int32_t sequences, most; /* pages of a sequence */
    int32_t page_rows, num_pages;
    int64_t window;          /* 0: none */
    bool fixed;              /* contiguous: page b is that of sequence b */
    cla_kv_seq *seq;         /* [sequences] */
    int32_t *table;          /* [sequences][most], 0 where there is no page */
    int32_t *refs;           /* [num_pages] */
    int32_t *free;           /* a stack */
    int32_t num_free;
    int32_t moved_begin, moved_end; /* sequences whose pages are not what the device knows */

    /* The change under way. */
    int32_t first, count;    /* sequences that it touches */
    cla_kv_seq *old_seq;     /* as they were */
    int32_t *old_table;
    cla_kv_step *steps;
    int32_t num_steps;
    int32_t *released;       /* pages to be given back once nothing can take the change back */
    int32_t num_released;
    cla_kv_copy *copies;     /* at most one for each sequence */
    int32_t num_copies;
} cla_kv_pages;

/*
 * From sequences, most, page_rows, num_pages, window and fixed. False: out of memory. Free with
 * cla_kv_pages_free() either way.
 */
bool cla_kv_pages_init(cla_kv_pages *p);
void cla_kv_pages_free(cla_kv_pages *p);

/*
 * A change: then cla_kv_pages_commit() or cla_kv_pages_undo(). Arguments have been checked.
 *
 * append: room for n more rows, at least one, in each of count sequences from first on, and their
 * lengths with it. Pages without a row of the window go first, and stay gone; else it fails with
 * nothing changed. copies[] says what to copy.
 * share: every sequence b becomes what from[b] was.
 */
clattn_status cla_kv_pages_append(clattn_ctx *ctx, cla_kv_pages *p, int32_t first, int32_t count,
                                  int64_t n);
void cla_kv_pages_truncate(cla_kv_pages *p, int32_t sequence, int64_t length);
void cla_kv_pages_share(cla_kv_pages *p, const int32_t *from);

void cla_kv_pages_commit(cla_kv_pages *p);
void cla_kv_pages_undo(cla_kv_pages *p);

/* Rows of a sequence that are held, as attention counts them. */
int64_t cla_kv_rows(const cla_kv_pages *p, int32_t sequence);

#endif
