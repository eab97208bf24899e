/* SPDX-License-Identifier: Apache-2.0 */
#include "kv_pages.h"

#include <stdlib.h>
#include <string.h>

static int32_t *pages_of(const cla_kv_pages *p, int32_t sequence)
{
    return p->table + (size_t)sequence * (size_t)p->most;
}

static void mark_moved(cla_kv_pages *p, int32_t first, int32_t count)
{
    const bool none = p->moved_begin == p->moved_end;
    p->moved_begin = none || first < p->moved_begin ? first : p->moved_begin;
    p->moved_end = none || first + count > p->moved_end ? first + count : p->moved_end;
}

static int32_t take_page(cla_kv_pages *p)
{
    const int32_t page = p->free[--p->num_free];
    p->refs[page] = 1;
    p->steps[p->num_steps++] = (cla_kv_step){ page, CLA_KV_TAKEN };
    return page;
}

static void drop_page(cla_kv_pages *p, int32_t page)
{
    if (--p->refs[page] == 0)
        p->free[p->num_free++] = page;
}

bool cla_kv_pages_init(cla_kv_pages *p)
{
    const size_t n = (size_t)p->sequences, entries = n * (size_t)p->most;
    const int32_t num_pages = p->num_pages;
    p->seq = calloc(n, sizeof *p->seq);
    p->old_seq = calloc(n, sizeof *p->old_seq);
    p->table = calloc(entries, sizeof *p->table);
    p->old_table = calloc(entries, sizeof *p->old_table);
    p->refs = calloc((size_t)num_pages, sizeof *p->refs);
    p->free = calloc((size_t)num_pages, sizeof *p->free);
    /* A sequence takes each of its pages at most once; a copy takes one and drops one. */
    p->steps = calloc(entries + 2 * n, sizeof *p->steps);
    p->released = calloc(entries, sizeof *p->released);
    p->copies = calloc(n, sizeof *p->copies);
    if (!p->seq || !p->old_seq || !p->table || !p->old_table || !p->refs || !p->free || !p->steps
        || !p->released || !p->copies)
        return false;
    for (int32_t i = 0; i < num_pages; i++)
        p->free[i] = num_pages - 1 - i;
    p->num_free = num_pages;
    for (int32_t b = 0; p->fixed && b < p->sequences; b++) {
        p->seq[b].pages = 1;
        p->table[b] = take_page(p);
    }
    p->num_steps = 0;
    return true;
}

void cla_kv_pages_free(cla_kv_pages *p)
{
    free(p->seq);
    free(p->old_seq);
    free(p->table);
    free(p->old_table);
    free(p->refs);
    free(p->free);
    free(p->steps);
    free(p->released);
    free(p->copies);
    *p = (cla_kv_pages){ 0 };
}

int64_t cla_kv_rows(const cla_kv_pages *p, int32_t sequence)
{
    return p->seq[sequence].length - p->seq[sequence].base;
}

/* ---- a change, and how it is taken back ---- */

static void begin(cla_kv_pages *p, int32_t first, int32_t count)
{
    p->first = first;
    p->count = count;
    p->num_steps = p->num_copies = p->num_released = 0;
    memcpy(p->old_seq, p->seq + first, (size_t)count * sizeof *p->seq);
    for (int32_t i = 0; i < count; i++)
        memcpy(p->old_table + (size_t)i * (size_t)p->most, pages_of(p, first + i),
               (size_t)p->seq[first + i].pages * sizeof *p->table);
}

/* Somebody else holds it. */
static void drop_in_change(cla_kv_pages *p, int32_t page)
{
    p->refs[page]--;
    p->steps[p->num_steps++] = (cla_kv_step){ page, CLA_KV_LEFT };
}

/* In reverse, so that the stack of free pages is popped as it was pushed. */
void cla_kv_pages_undo(cla_kv_pages *p)
{
    while (p->num_steps > 0) {
        const cla_kv_step step = p->steps[--p->num_steps];
        p->refs[step.page] += step.fate == CLA_KV_LEFT ? 1 : -1;
        if (step.fate == CLA_KV_TAKEN)
            p->free[p->num_free++] = step.page;
    }
    for (int32_t i = 0; i < p->count; i++) {
        int32_t *pages = pages_of(p, p->first + i);
        memset(pages, 0, (size_t)p->seq[p->first + i].pages * sizeof *pages);
        memcpy(pages, p->old_table + (size_t)i * (size_t)p->most,
               (size_t)p->old_seq[i].pages * sizeof *pages);
    }
    memcpy(p->seq + p->first, p->old_seq, (size_t)p->count * sizeof *p->seq);
    mark_moved(p, p->first, p->count);
    p->count = p->num_copies = p->num_released = 0;
}

void cla_kv_pages_commit(cla_kv_pages *p)
{
    for (int32_t i = 0; i < p->num_released; i++)
        drop_page(p, p->released[i]);
    p->num_released = 0;
}

/* ---- append ---- */

/*
 * Gives back the pages without a row of the window. That is no part of the change, as a page may be
 * taken again, and written, before the change is undone.
 */
static void slide(cla_kv_pages *p, int32_t sequence)
{
    cla_kv_seq *s = &p->seq[sequence];
    int32_t *pages = pages_of(p, sequence);
    const int64_t first = s->length - p->window;
    int32_t gone = 0;
    while (p->window > 0 && gone < s->pages
           && s->base + (int64_t)(gone + 1) * p->page_rows <= first)
        drop_page(p, pages[gone++]);
    memmove(pages, pages + gone, (size_t)(s->pages - gone) * sizeof *pages);
    memset(pages + s->pages - gone, 0, (size_t)gone * sizeof *pages);
    if (gone > 0)
        mark_moved(p, sequence, 1);
    s->pages -= gone;
    s->base += (int64_t)gone * p->page_rows;
}

static int32_t *last_page(const cla_kv_pages *p, int32_t sequence)
{
    return pages_of(p, sequence) + (p->seq[sequence].pages - 1);
}

/*
 * The last one on a page that others have left for copies writes into it. Should that be undone,
 * they are back: so it is the longest that stays, whose new rows lie behind those of all.
 */
static void let_longest_stay(cla_kv_pages *p, int32_t stays)
{
    const int32_t page = *last_page(p, stays);
    for (int32_t i = 0; i < p->num_copies; i++) {
        cla_kv_copy *copy = &p->copies[i];
        if (copy->from != page || p->seq[copy->sequence].length <= p->seq[stays].length)
            continue;
        const int32_t longer = copy->sequence;
        *last_page(p, longer) = page;
        *last_page(p, stays) = copy->to;
        copy->sequence = stays;
        stays = longer;
    }
}

/* The last page is about to be written: if it is shared, this sequence gets its own. */
static clattn_status own_last_page(clattn_ctx *ctx, cla_kv_pages *p, int32_t sequence)
{
    if (p->seq[sequence].length % p->page_rows == 0 || p->seq[sequence].pages == 0)
        return CLATTN_OK;
    int32_t *page = last_page(p, sequence);
    if (p->refs[*page] == 1) {
        let_longest_stay(p, sequence);
        return CLATTN_OK;
    }
    CLA_REQUIRE(ctx, p->num_free > 0, CLATTN_ERR_SHAPE,
                "kv_append: no page of %d is free for sequence %d, which shares its last one",
                p->num_pages, sequence);
    const cla_kv_copy copy = { *page, take_page(p), sequence };
    p->copies[p->num_copies++] = copy;
    drop_in_change(p, copy.from);
    *page = copy.to;
    mark_moved(p, p->first, p->count); /* the longest of them may be another */
    return CLATTN_OK;
}

static clattn_status grow(clattn_ctx *ctx, cla_kv_pages *p, int32_t sequence, int64_t n)
{
    cla_kv_seq *s = &p->seq[sequence];
    const int64_t room = (int64_t)p->most * p->page_rows, held = s->length - s->base;
    CLA_REQUIRE(ctx, n <= INT32_MAX - s->length, CLATTN_ERR_SHAPE,
                "kv_append: sequence %d has had %lld rows; %lld more are beyond the last position, "
                "%d", sequence, (long long)s->length, (long long)n, INT32_MAX);
    CLA_REQUIRE(ctx, n <= room - held, CLATTN_ERR_SHAPE,
                "kv_append: sequence %d holds %lld rows and has room for %lld; %lld more do not "
                "fit", sequence, (long long)held, (long long)room, (long long)n);
    const int64_t wanted = (held + n + p->page_rows - 1) / p->page_rows;
    CLA_REQUIRE(ctx, wanted - s->pages <= p->num_free, CLATTN_ERR_SHAPE,
                "kv_append: sequence %d needs %lld more pages, %d of %d are free", sequence,
                (long long)(wanted - s->pages), p->num_free, p->num_pages);
    if (s->pages < wanted)
        mark_moved(p, sequence, 1);
    while (s->pages < wanted)
        pages_of(p, sequence)[s->pages++] = take_page(p);
    s->length += n;
    return CLATTN_OK;
}

clattn_status cla_kv_pages_append(clattn_ctx *ctx, cla_kv_pages *p, int32_t first, int32_t count,
                                  int64_t n)
{
    for (int32_t b = first; b < first + count; b++)
        slide(p, b);
    begin(p, first, count);
    clattn_status s = CLATTN_OK;
    for (int32_t b = first; b < first + count && s == CLATTN_OK; b++)
        s = own_last_page(ctx, p, b);
    for (int32_t b = first; b < first + count && s == CLATTN_OK; b++)
        s = grow(ctx, p, b, n);
    if (s != CLATTN_OK)
        cla_kv_pages_undo(p);
    return s;
}

/* ---- truncate, share ---- */

void cla_kv_pages_truncate(cla_kv_pages *p, int32_t sequence, int64_t length)
{
    cla_kv_seq *s = &p->seq[sequence];
    int32_t *pages = pages_of(p, sequence);
    const int64_t held = length > 0 ? length - s->base : 0;
    const int64_t kept = (held + p->page_rows - 1) / p->page_rows;
    begin(p, sequence, 1);
    while (!p->fixed && s->pages > kept) {
        p->released[p->num_released++] = pages[--s->pages];
        pages[s->pages] = 0;
        mark_moved(p, sequence, 1);
    }
    s->length = length;
    if (length == 0)
        s->base = 0;
}

void cla_kv_pages_share(cla_kv_pages *p, const int32_t *from)
{
    const size_t most = (size_t)p->most;
    begin(p, 0, p->sequences);
    for (int32_t b = 0; b < p->sequences; b++) {
        const int32_t *held = p->old_table + (size_t)b * most;
        for (int32_t i = 0; i < p->old_seq[b].pages; i++)
            p->released[p->num_released++] = held[i];
    }
    for (int32_t b = 0; b < p->sequences; b++) {
        const int32_t *taken = p->old_table + (size_t)from[b] * most;
        int32_t *pages = pages_of(p, b);
        memset(pages, 0, (size_t)p->seq[b].pages * sizeof *pages);
        p->seq[b] = p->old_seq[from[b]];
        for (int32_t i = 0; i < p->seq[b].pages; i++) {
            pages[i] = taken[i];
            p->refs[taken[i]]++;
            p->steps[p->num_steps++] = (cla_kv_step){ taken[i], CLA_KV_SHARED };
        }
    }
    mark_moved(p, 0, p->sequences);
}
