/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line of a search on stderr, if that is a terminal, and Ctrl-C. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <clattn/tuning.h>

struct progress {
    const char *what; /* "attention 1,8,8,512,512,64" */
    int job, jobs;
    bool shown; /* there is a line to wipe */
};

/* From now on Ctrl-C asks the search to end; a second one ends the program. */
void progress_begin(void);
bool progress_interrupted(void);

/* A clattn_tune_fn; user is a struct progress. */
bool progress_show(void *user, const clattn_tune_status *status);
void progress_wipe(struct progress *p);

#endif
