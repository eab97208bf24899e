/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How good the search is on recorded spaces: replay_search [--seeds N] TRACE.csv...
 *
 * Prints the regret after 32 to 400 points, from cold, and fails when fewer than 95 % of the
 * searches of 400 points, in spaces below 1000 of 100 points, end within 5 % of the best, samples
 * in the order in which they were recorded. As a search that tries most of a space hardly misses,
 * it is one of 64 points, or 90 % of those of 32, where 100 are more than three fifths. See trace.h
 * for the file format; "-" reads standard input.
 */
#include <stdlib.h>
#include <string.h>

#include "trace.h"

enum { SMALL_SPACE = 1000 };

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Share of the searches that end within 5 % of the best. */
static double measure(const trace *t, trace_order order, int evals, int seeds)
{
    static const char *const names[] = { "as recorded", "shuffled", "noiseless" };
    double *regret = calloc((size_t)seeds, sizeof *regret);
    double samples = 0;
    int hits = 0;

    if (!regret)
        exit(1);
    for (int i = 0; i < seeds; i++) {
        cla_search_result result;
        trace_search(t, order, (uint64_t)i + 1, evals, &result);
        regret[i] = trace_regret(t, result.top[0].code);
        hits += regret[i] <= 1.05;
        samples += result.samples;
    }
    qsort(regret, (size_t)seeds, sizeof *regret, by_value);
    printf("  %-11s %4d points %5.0f samples   median %.3f   p95 %.3f   worst %.3f   within 5 %%: "
           "%5.1f %%\n",
           names[order], evals, samples / seeds, regret[seeds / 2], regret[seeds * 19 / 20],
           regret[seeds - 1], 100.0 * hits / seeds);
    free(regret);
    return (double)hits / seeds;
}

static bool replay(const char *name, int seeds)
{
    static const int evals[] = { 32, 64, 100, 200, 400 };
    trace t;
    double share = 0, bar = 0;
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");

    if (!file) {
        perror(name);
        return false;
    }
    trace_read(&t, file, name);
    if (file != stdin)
        fclose(file);
    printf("%s: %u legal of %u, %d seeds\n", name, t.space.num_legal, t.space.num_codes, seeds);
    for (int i = 0; i < 5 && (i < 3 || t.space.num_legal >= SMALL_SPACE); i++) {
        const double within = measure(&t, TRACE_AS_RECORDED, evals[i], seeds);
        if (i > 0 && 5 * (int64_t)evals[i] > 3 * (int64_t)t.space.num_legal)
            continue;
        share = within;
        bar = i == 0 ? 0.90 : 0.95;
    }
    measure(&t, TRACE_SHUFFLED, 400, seeds);
    measure(&t, TRACE_NOISELESS, 400, seeds);
    trace_free(&t);
    return share >= bar;
}

int main(int argc, char **argv)
{
    int seeds = 200, first = 1;
    bool good = true;

    if (argc > 2 && strcmp(argv[1], "--seeds") == 0) {
        seeds = atoi(argv[2]);
        first = 3;
    }
    if (first >= argc || seeds < 1) {
        fprintf(stderr, "usage: replay_search [--seeds N] TRACE.csv...\n");
        return 2;
    }
    for (int i = first; i < argc; i++)
        good = replay(argv[i], seeds) && good;
    return good ? 0 : 1;
}
