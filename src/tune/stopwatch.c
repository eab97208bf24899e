/* SPDX-License-Identifier: Apache-2.0 */
#include "stopwatch.h"

#include <math.h>
#include <time.h>

enum { MAX_RUNS = 256, ANCHOR_EVERY = 16, ANCHOR_FIRST = 5 };

#define SAMPLE_SECONDS 0.0015
#define STEADY 0.04 /* a drift below this is noise of the anchor */
#define AGREE 1.1   /* its samples differ by less when the device itself has changed */

double cla_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static clattn_status time_runs(cla_subject *s, clattn_plan *plan, int runs, double *us)
{
    const double start = cla_seconds();
    for (int i = 0; i < runs; i++)
        CLA_TRY(cla_subject_run(s, plan, s->problem.bytes, i % s->num_copies));
    CLA_TRY(clattn_finish(s->ctx));
    *us = (cla_seconds() - start) * 1e6 / runs;
    return CLATTN_OK;
}

clattn_status cla_stopwatch(cla_subject *s, clattn_plan *plan, cla_batch *batch, double limit_us,
                            double *us)
{
    if (batch->runs == 0) {
        CLA_TRY(time_runs(s, plan, 1, us));
        CLA_TRY(time_runs(s, plan, 1, us));
        if (limit_us > 0 && *us > 2 * limit_us)
            return CLATTN_OK;
        const double runs = ceil(SAMPLE_SECONDS * 1e6 / fmax(*us, 1));
        batch->runs = runs < MAX_RUNS ? (int)runs : MAX_RUNS;
    }
    return time_runs(s, plan, batch->runs, us);
}

static double median3(const double *x)
{
    return fmax(fmin(x[0], x[1]), fmin(fmax(x[0], x[1]), x[2]));
}

clattn_status cla_anchor_drift(cla_subject *s, cla_anchor *anchor, double *drift)
{
    const int wanted = anchor->samples == 0 ? ANCHOR_FIRST : anchor->until == 0 ? 1 : 0;
    *drift = 1;
    if (!anchor->plan)
        return CLATTN_OK;
    for (int i = 0; i < wanted; i++) {
        double us;
        CLA_TRY(cla_stopwatch(s, anchor->plan, &anchor->batch, 0, &us));
        anchor->last_us[anchor->samples++ % 3] = us;
    }
    if (wanted == ANCHOR_FIRST)
        anchor->first_us = median3(anchor->last_us);
    anchor->until = wanted ? ANCHOR_EVERY : anchor->until - 1;
    const double *x = anchor->last_us, now = median3(x) / anchor->first_us;
    const double least = fmin(x[0], fmin(x[1], x[2])), most = fmax(x[0], fmax(x[1], x[2]));
    if (most < AGREE * least && fabs(now - 1) > STEADY)
        *drift = now;
    return CLATTN_OK;
}
