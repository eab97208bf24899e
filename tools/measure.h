/* SPDX-License-Identifier: Apache-2.0 */
/* How long works take, and the report of it that bench and the operations' subcommands print. */
#ifndef MEASURE_H
#define MEASURE_H

#include "work.h"

struct timing {
    double median_us, min_us;
    int runs; /* timed samples; each is the mean of a batch of at least 1 ms */
    double ratio; /* of the first work's time to this one's: median over the turns */
};

/*
 * Times n works in turns, so that whatever disturbs the machine disturbs all of them: at least 7
 * samples each, and about so many seconds.
 */
int measure_works(int n, struct work *works, double seconds, struct timing *out);

/*
 * Measures what the device can reach, and again while a work was faster than its floor: nothing
 * is, so something else kept the device busy meanwhile. best keeps the larger numbers.
 */
int measure_peaks(struct session *s, int n, const struct work *works, const struct timing *timing,
                  struct peaks *best);

struct performance {
    const char *op, *shape, *flags; /* flags: "causal window=16,0", may be "" */
    const struct work *work;
    struct timing timing;
    struct peaks peaks;
    bool compared; /* with the first work: the report says the ratio */
};

/* One JSON object on a line, or a block of text. */
void performance_print(const struct performance *p, bool json);

#endif
