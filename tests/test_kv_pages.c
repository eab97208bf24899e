/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bookkeeping of a KV cache against a plain model: each sequence is a list of row numbers, and
 * pages are arrays of them. After every step all rows must be found through the table, and pages,
 * references and the list of free pages must agree.
 */
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "kv_pages.h"
#include "memory.h"
#include "suite.h"
#include "test_random.h"

enum { MAX_SEQUENCES = 5, MAX_ROWS = 4096 };

typedef struct model {
    cla_kv_pages p;
    int64_t *pages; /* [num_pages][page_rows]: the number of the row that was written there */
    int64_t next;   /* the number of the next row */
    int64_t rows[MAX_SEQUENCES][MAX_ROWS];
    int64_t length[MAX_SEQUENCES];
    int refused; /* appends that did not fit */
} model;

static clattn_ctx errors; /* nothing but the sentence is used */

static void model_make(model *m, int sequences, int most, int page_rows, int pages, int window)
{
    memset(m, 0, sizeof *m);
    m->p = (cla_kv_pages){ .sequences = sequences, .most = most, .page_rows = page_rows,
                           .num_pages = pages, .window = window };
    ck_assert(cla_kv_pages_init(&m->p));
    m->pages = memory_alloc((size_t)(pages * page_rows) * sizeof *m->pages);
}

static void model_free(model *m)
{
    free(m->pages);
    cla_kv_pages_free(&m->p);
}

static int32_t page_at(const cla_kv_pages *p, int b, int i)
{
    return p->table[b * p->most + i];
}

/* ---- what must always hold ---- */

static void check_rows(const model *m, int b)
{
    const cla_kv_seq *s = &m->p.seq[b];
    const int64_t kept = m->p.window && m->p.window < s->length ? m->p.window : s->length;

    ck_assert_int_eq(s->length, m->length[b]);
    ck_assert(s->base % m->p.page_rows == 0 && s->base >= 0);
    ck_assert_msg(m->p.window ? s->base <= s->length - kept : s->base == 0,
                  "sequence %d of %d rows starts at %d", b, (int)s->length, (int)s->base);
    ck_assert_int_eq(s->pages, (s->length - s->base + m->p.page_rows - 1) / m->p.page_rows);
    for (int64_t r = s->base; r < s->length; r++) {
        const int64_t at = r - s->base;
        const int32_t page = page_at(&m->p, b, (int)(at / m->p.page_rows));
        ck_assert_msg(m->pages[(int64_t)page * m->p.page_rows + at % m->p.page_rows]
                          == m->rows[b][r],
                      "row %d of sequence %d is another one", (int)r, b);
    }
}

static void check_pages(const cla_kv_pages *p)
{
    int32_t *refs = memory_alloc((size_t)p->num_pages * sizeof *refs);

    for (int b = 0; b < p->sequences; b++)
        for (int i = 0; i < p->most; i++) {
            if (i < p->seq[b].pages)
                refs[page_at(p, b, i)]++;
            else
                ck_assert_int_eq(page_at(p, b, i), 0);
        }
    int free_pages = 0;
    for (int i = 0; i < p->num_pages; i++) {
        ck_assert_msg(refs[i] == p->refs[i], "page %d: %d references, counted %d", i, refs[i],
                      p->refs[i]);
        free_pages += refs[i] == 0;
    }
    ck_assert_int_eq(p->num_free, free_pages);
    for (int i = 0; i < p->num_free; i++)
        ck_assert_msg(refs[p->free[i]]++ == 0, "page %d is free twice, or in use", p->free[i]);
    free(refs);
}

static void check_model(const model *m)
{
    for (int b = 0; b < m->p.sequences; b++)
        check_rows(m, b);
    check_pages(&m->p);
}

/* ---- operations ---- */

/* Copies pages, then writes n rows to each sequence, as a device would. kept: rows of the model. */
static void write_rows(model *m, int first, int count, int64_t n, bool kept)
{
    const cla_kv_pages *p = &m->p;
    const size_t page = (size_t)p->page_rows;

    for (int i = 0; i < p->num_copies; i++)
        memcpy(m->pages + (size_t)p->copies[i].to * page,
               m->pages + (size_t)p->copies[i].from * page, page * sizeof *m->pages);
    for (int b = first; b < first + count; b++)
        for (int64_t r = m->length[b]; r < m->length[b] + n; r++) {
            const int64_t at = r - p->seq[b].base;
            m->next++;
            if (kept)
                m->rows[b][r] = m->next;
            m->pages[(int64_t)page_at(p, b, (int)(at / p->page_rows)) * p->page_rows
                     + at % p->page_rows] = m->next;
        }
    for (int b = first; b < first + count && kept; b++)
        m->length[b] += n;
}

/* Pages that surely suffice: for each sequence a copy, and what its new rows need. */
static bool surely_fits(const model *m, int first, int count, int64_t n)
{
    int64_t pages = 0;
    for (int b = first; b < first + count; b++) {
        const int64_t held = m->p.seq[b].length - m->p.seq[b].base;
        if (held + n > (int64_t)m->p.most * m->p.page_rows)
            return false;
        pages += 1 + (held + n + m->p.page_rows - 1) / m->p.page_rows - m->p.seq[b].pages;
    }
    return pages <= m->p.num_free;
}

static void append(model *m, int first, int count, int64_t n, bool undo)
{
    const bool fits = surely_fits(m, first, count, n);
    const clattn_status s = cla_kv_pages_append(&errors, &m->p, first, count, n);

    if (s != CLATTN_OK) {
        ck_assert_int_eq(s, CLATTN_ERR_SHAPE);
        ck_assert_msg(!fits, "there is room, but: %s", errors.error);
        m->refused++;
    } else {
        write_rows(m, first, count, n, !undo);
        if (undo)
            cla_kv_pages_undo(&m->p);
    }
}

static void truncate_to(model *m, int b, int64_t length)
{
    cla_kv_pages_truncate(&m->p, b, length);
    cla_kv_pages_commit(&m->p);
}

static void truncate_some(model *m, test_rng *rng)
{
    const int b = rng_below(rng, m->p.sequences);
    const int64_t least = m->p.seq[b].base ? m->p.seq[b].base + m->p.window : 0;
    const int64_t length = least + rng_below(rng, (int)(m->length[b] - least) + 1);

    m->length[b] = rng_below(rng, 4) == 0 ? 0 : length;
    truncate_to(m, b, m->length[b]);
}

static void share(model *m, const int32_t *from)
{
    model *old = memory_alloc(sizeof *old);

    *old = *m;
    for (int b = 0; b < m->p.sequences; b++) {
        m->length[b] = old->length[from[b]];
        memcpy(m->rows[b], old->rows[from[b]], sizeof m->rows[b]);
    }
    free(old);
    cla_kv_pages_share(&m->p, from);
    cla_kv_pages_commit(&m->p);
}

/* As if the device could not be told. */
static void change_mind(model *m, test_rng *rng)
{
    int32_t from[MAX_SEQUENCES];

    for (int b = 0; b < m->p.sequences; b++)
        from[b] = rng_below(rng, m->p.sequences);
    cla_kv_pages_share(&m->p, from);
    cla_kv_pages_undo(&m->p);
    cla_kv_pages_truncate(&m->p, from[0], 0);
    cla_kv_pages_undo(&m->p);
}

static void share_some(model *m, test_rng *rng)
{
    int32_t from[MAX_SEQUENCES];
    const bool fork = rng_below(rng, 2) == 0;

    for (int b = 0; b < m->p.sequences; b++)
        from[b] = fork ? b : rng_below(rng, m->p.sequences);
    if (fork)
        from[rng_below(rng, m->p.sequences)] = rng_below(rng, m->p.sequences);
    share(m, from);
}

static void random_step(model *m, test_rng *rng)
{
    const int first = rng_below(rng, m->p.sequences);
    const int count = 1 + rng_below(rng, m->p.sequences - first);

    switch (rng_below(rng, 9)) {
    case 0: truncate_some(m, rng); break;
    case 1: share_some(m, rng); break;
    case 4: change_mind(m, rng); break;
    case 2: append(m, first, count, 1 + rng_below(rng, 3 * m->p.page_rows), true); break;
    case 3: append(m, first, count, 1 + rng_below(rng, 3 * m->p.page_rows), false); break;
    default: append(m, first, count, 1 + rng_below(rng, m->p.page_rows / 2), false); break;
    }
}

/* ---- tests ---- */

START_TEST(random_operations)
{
    static const struct {
        int sequences, most, page_rows, pages, window;
    } shapes[] = {
        { 1, 4, 16, 4, 0 },  { 3, 5, 16, 15, 0 }, { 5, 4, 16, 9, 0 },   { 4, 6, 16, 12, 40 },
        { 3, 4, 32, 12, 33 }, { 5, 3, 16, 8, 1 }, { 2, 9, 16, 14, 128 },
    };
    test_rng rng = { suite_seed() + (uint64_t)_i };
    model *m = memory_alloc(sizeof *m);

    model_make(m, shapes[_i].sequences, shapes[_i].most, shapes[_i].page_rows, shapes[_i].pages,
               shapes[_i].window);
    for (int step = 0; step < 4000; step++) {
        random_step(m, &rng);
        check_model(m);
        for (int b = 0; b < m->p.sequences; b++)
            if (m->length[b] > MAX_ROWS / 2) { /* a window goes on for ever */
                m->length[b] = 0;
                truncate_to(m, b, 0);
            }
    }
    ck_assert_int_gt(m->refused, 10);
    for (int b = 0; b < m->p.sequences; b++)
        truncate_to(m, b, 0);
    ck_assert_int_eq(m->p.num_free, m->p.num_pages);
    model_free(m);
    free(m);
}
END_TEST

/* The list of free pages is a stack that undo leaves as it was, so that runs can be repeated. */
START_TEST(undo_restores_all)
{
    model *m = memory_alloc(sizeof *m);
    int32_t before[12], table[12];
    const int32_t from[] = { 0, 0, 0 };

    model_make(m, 3, 4, 16, 12, 20);
    append(m, 0, 1, 40, false);
    share(m, from);
    append(m, 0, 3, 1, false);
    memcpy(before, m->p.free, sizeof before);
    memcpy(table, m->p.table, sizeof table);
    append(m, 0, 3, 20, true);
    ck_assert_int_eq(memcmp(before, m->p.free, (size_t)m->p.num_free * sizeof *before), 0);
    ck_assert_int_eq(memcmp(table, m->p.table, sizeof table), 0);
    check_model(m);
    model_free(m);
    free(m);
}
END_TEST

/* A window of any length costs no more pages than it needs. */
START_TEST(window_gives_pages_back)
{
    model *m = memory_alloc(sizeof *m);

    model_make(m, 1, 4, 16, 4, 40);
    for (int i = 0; i < 1000; i++) {
        append(m, 0, 1, 1, false);
        check_model(m);
        ck_assert_int_le(m->p.seq[0].pages, 4);
    }
    ck_assert_int_eq(m->length[0], 1000);
    truncate_to(m, 0, 0);
    m->length[0] = 0;
    check_model(m);
    ck_assert_int_eq(m->p.num_free, 4);
    model_free(m);
    free(m);
}
END_TEST

/* Kernels count rows in 32 bits: a window may slide on to the last of them, and not further. */
START_TEST(rows_end_with_int32)
{
    enum { ROWS = 1 << 28 };
    const int64_t last = INT32_MAX;
    cla_kv_pages p = { .sequences = 1, .most = 2, .page_rows = ROWS, .num_pages = 2, .window = 16 };

    ck_assert(cla_kv_pages_init(&p));
    for (int i = 0; i < 7; i++)
        OK(&errors, cla_kv_pages_append(&errors, &p, 0, 1, ROWS));
    OK(&errors, cla_kv_pages_append(&errors, &p, 0, 1, ROWS - 2));
    OK(&errors, cla_kv_pages_append(&errors, &p, 0, 1, 1));
    ck_assert_int_eq(p.seq[0].length, last);
    FAILS(&errors, ERR_SHAPE, "kv_append|sequence 0|2147483647",
          cla_kv_pages_append(&errors, &p, 0, 1, 1));
    ck_assert_int_eq(p.seq[0].length, last);
    cla_kv_pages_free(&p);
}
END_TEST

/* Two that share their last page: the first to write copies it, the other then has it alone. */
START_TEST(copy_on_write)
{
    static const int32_t from[] = { 0, 0 };
    model *m = memory_alloc(sizeof *m);

    model_make(m, 2, 4, 16, 8, 0);
    append(m, 0, 1, 20, false);
    share(m, from);
    ck_assert_int_eq(m->p.num_free, 6);
    ck_assert_int_eq(cla_kv_pages_append(&errors, &m->p, 0, 2, 1), CLATTN_OK);
    ck_assert_int_eq(m->p.num_copies, 1);
    write_rows(m, 0, 2, 1, true);
    check_model(m);
    ck_assert_int_eq(m->p.num_free, 5);
    ck_assert_int_eq(page_at(&m->p, 0, 0), page_at(&m->p, 1, 0));
    ck_assert_int_ne(page_at(&m->p, 0, 1), page_at(&m->p, 1, 1));
    model_free(m);
    free(m);
}
END_TEST

/* A sequence that ends with a full page shares it for good. */
START_TEST(full_pages_are_not_copied)
{
    static const int32_t from[] = { 0, 0 };
    model *m = memory_alloc(sizeof *m);

    model_make(m, 2, 4, 16, 8, 0);
    append(m, 0, 1, 32, false);
    share(m, from);
    ck_assert_int_eq(cla_kv_pages_append(&errors, &m->p, 1, 1, 1), CLATTN_OK);
    ck_assert_int_eq(m->p.num_copies, 0);
    write_rows(m, 1, 1, 1, true);
    check_model(m);
    ck_assert_int_eq(m->p.num_free, 5);
    model_free(m);
    free(m);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("kv_pages");
    TCase *t = tcase_create("kv_pages");

    tcase_add_loop_test(t, random_operations, 0, 7);
    tcase_add_test(t, undo_restores_all);
    tcase_add_test(t, window_gives_pages_back);
    tcase_add_test(t, rows_end_with_int32);
    tcase_add_test(t, copy_on_write);
    tcase_add_test(t, full_pages_are_not_copied);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    return suite_run(suite());
}
