/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a plan takes. Wall time of batches of runs between two waits for the device: what a
 * caller sees who queues one run after the other. Event clocks are not asked: a queue that keeps
 * them launches more slowly, and not every driver's can be believed.
 */
#ifndef CLA_STOPWATCH_H
#define CLA_STOPWATCH_H

#include "subject.h"

/* Seconds since some moment; never goes back. */
double cla_seconds(void);

/* How many runs one sample of a plan takes; 0: not known yet. */
typedef struct cla_batch {
    int runs;
} cla_batch;

/*
 * Microseconds of one run: the mean over a batch of 1 to 2 ms, each run on the next copy of the
 * tensors. The first sample of a batch runs the plan twice more: to warm it up and to find the
 * length. A run beyond twice limit_us (0: none) is the sample by itself.
 */
clattn_status cla_stopwatch(cla_subject *subject, clattn_plan *plan, cla_batch *batch,
                            double limit_us, double *us);

/*
 * Devices change their clocks. The drift is how much slower the anchor, one plan that is timed
 * again and again, is now than it was at first, by the median of its last three samples. It is 1
 * when they are within a few percent of the first, and when they disagree: then something else ran.
 */
typedef struct cla_anchor {
    clattn_plan *plan;
    cla_batch batch;
    double first_us, last_us[3];
    int samples, until; /* taken by now; other samples until the next */
} cla_anchor;

clattn_status cla_anchor_drift(cla_subject *subject, cla_anchor *anchor, double *drift);

#endif
