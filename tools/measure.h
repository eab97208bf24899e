/* SPDX-License-Identifier: Apache-2.0 */
/* How long plans take, and the report of it that attention and bench print. */
#ifndef MEASURE_H
#define MEASURE_H

#include "session.h"

struct timing {
    double median_us, min_us;
    int runs; /* timed samples; each is the mean of a batch of at least 1 ms */
};

/*
 * Times n plans of a session in turns, so that whatever disturbs the machine disturbs all of them:
 * at least 7 samples each, and about half a second.
 */
int measure_plans(struct session *s, int n, clattn_plan *const *plans, struct timing *out);

struct performance {
    const char *op, *shape, *flags; /* flags: "causal window=16,0", may be "" */
    clattn_dtype dtype;
    const char *device;
    clattn_plan_info info;
    struct timing timing;
    struct peaks peaks;
    double output_bytes;
};

/* One JSON object on a line, or a block of text. */
void performance_print(const struct performance *p, bool json);

#endif
