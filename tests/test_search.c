/* SPDX-License-Identifier: Apache-2.0 */
/* The search on made-up and on recorded spaces, with a fake clock. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "suite.h"
#include "trace.h"

/* ---- a made-up space: two variants, coupled axes, one smooth valley each ---- */

enum { AXES = 4, CHOICES = 6 };

typedef struct bench {
    cla_space space;
    double now, sample_seconds;
    int asked[2 * 1296]; /* samples of each code */
    int firsts;          /* points asked for at least once */
    bool bad[2 * 1296];  /* rejected */
    int stop_after;      /* samples; 0: never */
    int samples;
    uint64_t random;
    double noise;
} bench;

/* Only products of the first two choices that are small: single moves get stuck. */
static bool fits(const void *user, const cla_point *p)
{
    (void)user;
    return p->at[0] + p->at[1] >= 3 && p->at[0] + p->at[1] <= 6;
}

static double truth(const cla_space *space, uint32_t code)
{
    static const int best[AXES] = { 4, 1, 2, 5 };
    const cla_point p = cla_space_point(space, code);
    double us = 100;
    for (int a = 0; a < AXES; a++)
        us *= 1 + 0.07 * abs(p.at[a] - best[a]);
    return p.variant == 0 ? us : 8 * us;
}

static cla_verdict sample(void *user, uint32_t code, double limit_us, double *us)
{
    bench *b = user;
    (void)limit_us;
    if (b->stop_after && b->samples >= b->stop_after)
        return CLA_VERDICT_STOP;
    b->samples++;
    b->firsts += b->asked[code]++ == 0;
    b->now += b->sample_seconds;
    b->random = b->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    *us = truth(&b->space, code) * (1 + b->noise * ((double)(b->random >> 40) / (1 << 24) - 0.5));
    return b->bad[code] ? CLA_VERDICT_REJECTED : CLA_VERDICT_OK;
}

static double fake_clock(void *user)
{
    return ((bench *)user)->now;
}

static bench *bench_make(int num_variants)
{
    const cla_variant one = { AXES, { CHOICES, CHOICES, CHOICES, CHOICES }, 0 };
    const cla_variant variants[2] = { one, one };
    bench *b = memory_alloc(sizeof *b);
    b->sample_seconds = 0.001;
    b->noise = 0.01;
    b->random = suite_seed();
    ck_assert(cla_space_make(&b->space, variants, num_variants, fits, NULL));
    return b;
}

static void bench_free(bench *b)
{
    cla_space_free(&b->space);
    free(b);
}

static cla_search_result search(bench *b, cla_search_options options)
{
    const cla_prober prober = { b, sample, fake_clock, NULL, NULL };
    cla_search_result result;
    ck_assert(cla_search(&b->space, &options, &prober, &result));
    return result;
}

static cla_search_options budget(int evals, double seconds)
{
    return (cla_search_options){ .limits = { evals, seconds, 15, false }, .seed = 7 };
}

static uint32_t best_code(const bench *b)
{
    uint32_t best = b->space.legal[0];
    for (uint32_t i = 0; i < b->space.num_legal; i++)
        if (!b->bad[b->space.legal[i]]
            && truth(&b->space, b->space.legal[i]) < truth(&b->space, best))
            best = b->space.legal[i];
    return best;
}

/* ---- the space ---- */

START_TEST(codes_and_moves)
{
    bench *b = bench_make(2);
    uint32_t moves[256];
    ck_assert_uint_eq(b->space.num_codes, 2 * 1296);
    for (uint32_t code = 0; code < b->space.num_codes; code++) {
        const cla_point p = cla_space_point(&b->space, code);
        ck_assert_uint_eq(cla_space_code(&b->space, &p), code);
        ck_assert(cla_space_legal(&b->space, code) == fits(NULL, &p));
    }
    for (uint32_t i = 0; i < b->space.num_legal; i++) {
        const cla_point p = cla_space_point(&b->space, b->space.legal[i]);
        for (int pairs = 0; pairs < 2; pairs++) {
            const int n = (pairs ? cla_space_pairs
                                 : cla_space_singles)(&b->space, b->space.legal[i], moves, 256);
            for (int k = 0; k < n; k++) {
                const cla_point q = cla_space_point(&b->space, moves[k]);
                int changed = 0;
                for (int a = 0; a < AXES; a++)
                    changed += p.at[a] != q.at[a];
                ck_assert_int_eq(changed, 1 + pairs);
                ck_assert(cla_space_legal(&b->space, moves[k]));
                ck_assert_int_eq(p.variant, q.variant);
            }
        }
        ck_assert_int_le(cla_space_pairs(&b->space, b->space.legal[i], moves, 3), 3);
    }
    ck_assert(!cla_space_legal(&b->space, b->space.num_codes));
    bench_free(b);
}
END_TEST

/* ---- the search ---- */

START_TEST(finds_the_best)
{
    bench *b = bench_make(2);
    const cla_search_result r = search(b, budget(200, 1e9));
    ck_assert_int_le(r.evals, 200);
    ck_assert_int_eq(r.evals, b->firsts);
    ck_assert_int_eq(r.samples, b->samples);
    ck_assert_int_eq(r.num_top, CLA_SEARCH_TOP);
    ck_assert_double_le(truth(&b->space, r.top[0].code), 1.02 * truth(&b->space, best_code(b)));
    ck_assert_int_eq(r.end, CLA_END_BUDGET);
    bench_free(b);
}
END_TEST

/* The slow kernel is looked at, but most of the work goes into the fast one. */
START_TEST(slow_kernels_get_little)
{
    bench *b = bench_make(2);
    int fast = 0;
    search(b, budget(200, 1e9));
    for (uint32_t code = 0; code < 1296; code++)
        fast += b->asked[code] > 0;
    ck_assert_int_ge(fast, 180);
    ck_assert_int_lt(fast, 200);
    bench_free(b);
}
END_TEST

START_TEST(tries_all_of_a_small_space)
{
    for (int exhaustive = 0; exhaustive < 2; exhaustive++) {
        bench *b = bench_make(1);
        cla_search_options o = budget(100000, 1e9);
        o.limits.exhaustive = exhaustive;
        const cla_search_result r = search(b, o);
        ck_assert_int_eq(r.end, CLA_END_COMPLETE);
        ck_assert_int_eq(r.evals, (int)b->space.num_legal);
        ck_assert_uint_eq(r.top[0].code, best_code(b));
        bench_free(b);
    }
}
END_TEST

/* The fastest quarter computes nonsense: none of it is ever in the result. */
START_TEST(rejected_points_never_win)
{
    bench *b = bench_make(1);
    int bad = 0;
    for (uint32_t i = 0; i < b->space.num_legal; i++)
        bad += b->bad[b->space.legal[i]] = truth(&b->space, b->space.legal[i]) < 160;
    ck_assert_int_gt(bad, 50);
    cla_search_options o = budget(300, 1e9);
    const uint32_t seeds[] = { 4 + 6 * (1 + 6 * (2 + 6 * 5)) }; /* the best, which is bad */
    o.seeds = seeds;
    o.num_seeds = 1;
    const cla_search_result r = search(b, o);
    ck_assert_int_gt(r.rejected, 0);
    ck_assert_int_gt(r.num_top, 0);
    for (int i = 0; i < r.num_top; i++)
        ck_assert(!b->bad[r.top[i].code]);
    for (uint32_t code = 0; code < b->space.num_codes; code++)
        ck_assert_msg(!b->bad[code] || b->asked[code] <= 1, "a rejected point was asked again");
    ck_assert_double_eq(r.default_us, 0);
    bench_free(b);
}
END_TEST

START_TEST(nothing_works)
{
    bench *b = bench_make(1);
    memset(b->bad, 1, sizeof b->bad);
    const cla_search_result r = search(b, budget(100000, 1e9));
    ck_assert_int_eq(r.num_top, 0);
    ck_assert_int_eq(r.rejected, (int)b->space.num_legal);
    ck_assert_int_eq(r.end, CLA_END_COMPLETE);
    bench_free(b);
}
END_TEST

START_TEST(ends_on_time)
{
    for (int i = 0; i < 4; i++) {
        static const double seconds[] = { 0.001, 0.05, 0.2, 1 };
        bench *b = bench_make(2);
        const cla_search_result r = search(b, budget(100000, seconds[i]));
        ck_assert_double_le(r.seconds, seconds[i] + 0.06); /* one race, two rounds of the finals */
        ck_assert_int_gt(r.num_top, 0);
        ck_assert_int_eq(r.end, CLA_END_BUDGET);
        bench_free(b);
    }
}
END_TEST

/* Whenever it is stopped, what was found by then is the result. */
START_TEST(stops_when_told)
{
    for (int after = 1; after < 600; after += 7) {
        bench *b = bench_make(2);
        b->stop_after = after;
        const cla_search_result r = search(b, budget(100, 1e9));
        ck_assert_int_le(r.samples, after);
        if (r.samples == after)
            ck_assert_int_eq(r.end, CLA_END_STOPPED);
        ck_assert_int_gt(r.num_top, 0);
        bench_free(b);
    }
}
END_TEST

START_TEST(is_repeatable)
{
    bench *a = bench_make(2), *b = bench_make(2);
    const cla_search_result x = search(a, budget(150, 1e9)), y = search(b, budget(150, 1e9));
    ck_assert_int_eq(x.samples, y.samples);
    ck_assert_uint_eq(x.top[0].code, y.top[0].code);
    ck_assert_mem_eq(a->asked, b->asked, sizeof a->asked);
    bench_free(a);
    bench_free(b);
}
END_TEST

/* What is known is not tried again, except in the finals. */
START_TEST(goes_on_from_what_is_known)
{
    bench *b = bench_make(1);
    cla_known *known = memory_alloc(b->space.num_legal * sizeof *known);
    cla_search_options o = budget(100000, 1e9);
    for (uint32_t i = 0; i < b->space.num_legal; i++)
        if (i % 3)
            known[o.num_known++] = (cla_known){ b->space.legal[i], CLA_VERDICT_OK,
                                                truth(&b->space, b->space.legal[i]) };
    known[0].verdict = CLA_VERDICT_REJECTED;
    o.known = known;
    const cla_search_result r = search(b, o);
    ck_assert_int_eq(r.evals, (int)b->space.num_legal - o.num_known);
    ck_assert_int_eq(r.end, CLA_END_COMPLETE);
    ck_assert_uint_eq(r.top[0].code, best_code(b));
    ck_assert_int_eq(b->asked[known[0].code], 0);
    free(known);
    bench_free(b);
}
END_TEST

/* A winner within two percent of the default does not replace it. */
START_TEST(keeps_a_good_default)
{
    bench *b = bench_make(1);
    b->noise = 0;
    const uint32_t seeds[] = { best_code(b), b->space.legal[0] };
    cla_search_options o = budget(300, 1e9);
    o.seeds = seeds;
    o.num_seeds = 2;
    cla_search_result r = search(b, o);
    ck_assert_uint_eq(r.top[0].code, seeds[0]);
    ck_assert_double_eq(r.default_us, r.top[0].us);
    o.seeds = seeds + 1;
    o.num_seeds = 1;
    r = search(b, o);
    ck_assert_uint_eq(r.top[0].code, seeds[0]);
    ck_assert_double_gt(r.default_us, r.top[0].us);
    bench_free(b);
}
END_TEST

START_TEST(levels)
{
    ck_assert_int_eq(cla_search_limits_of(CLATTN_EFFORT_OFF).evals, 0);
    ck_assert_int_eq(cla_search_limits_of(CLATTN_EFFORT_ESTIMATE).evals, 0);
    int evals = 0;
    for (clattn_effort e = CLATTN_EFFORT_QUICK; e <= CLATTN_EFFORT_EXHAUSTIVE; e++) {
        const cla_search_limits limits = cla_search_limits_of(e);
        ck_assert_int_gt(limits.evals, evals);
        ck_assert(limits.exhaustive == (e == CLATTN_EFFORT_EXHAUSTIVE));
        evals = limits.evals;
    }
    bench *b = bench_make(1);
    const cla_search_result r = search(b, budget(0, 0));
    ck_assert_int_eq(r.samples, 0);
    ck_assert_int_eq(r.num_top, 0);
    bench_free(b);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("search");
    TCase *t = tcase_create("search");
    tcase_add_test(t, codes_and_moves);
    tcase_add_test(t, finds_the_best);
    tcase_add_test(t, slow_kernels_get_little);
    tcase_add_test(t, tries_all_of_a_small_space);
    tcase_add_test(t, rejected_points_never_win);
    tcase_add_test(t, nothing_works);
    tcase_add_test(t, ends_on_time);
    tcase_add_test(t, stops_when_told);
    tcase_add_test(t, is_repeatable);
    tcase_add_test(t, goes_on_from_what_is_known);
    tcase_add_test(t, keeps_a_good_default);
    tcase_add_test(t, levels);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    return suite_run(suite());
}
