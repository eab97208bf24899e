/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CLATTN_CHECK=sample: of some runs a row of the result is computed again, in double, by what
 * judges the candidates of the tuner. The first run of a plan is one of those, and then whatever
 * runs when the time has come: a check is followed by at least 24 times its length without one.
 */
#ifndef CLA_SELFCHECK_H
#define CLA_SELFCHECK_H

#include "plan.h"

/* A run that is looked at. */
typedef struct cla_selfcheck_run {
    clattn_plan *plan;
    cla_problem host; /* all of it in host memory, once it has run */
    double seconds;   /* that looking has taken */
    bool blind;       /* there was no memory to look */
    int count;
    void *copies[CLA_MAX_SLOTS];
} cla_selfcheck_run;

/* What CLATTN_CHECK asks of a context: off or sample. */
clattn_status cla_selfcheck_configure(clattn_ctx *ctx, const char *wish);

/* Is this run to be looked at? Never one that must not block. */
bool cla_selfcheck_due(const clattn_plan *plan, const cla_events *events);

/* Before a run of the problem: keeps what it will overwrite. Free in any case. */
clattn_status cla_selfcheck_begin(clattn_plan *plan, const void *problem, cla_selfcheck_run *run);

/* After it, waits for the device; CLATTN_ERR_CHECK with the row that is wrong. */
clattn_status cla_selfcheck_end(cla_selfcheck_run *run);
void cla_selfcheck_free(cla_selfcheck_run *run);

#endif
