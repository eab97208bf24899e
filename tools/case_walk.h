/* SPDX-License-Identifier: Apache-2.0 */
/* Runs cases one after the other on one device: what run and verify have in common. */
#ifndef CASE_WALK_H
#define CASE_WALK_H

#include "case.h"
#include "ops.h"

struct case_walk {
    struct common common;
    bool with_outputs; /* load the expected values too */
    /*
     * Takes the results (by the op's list of outputs) of a case. Returns EXIT_OK, EXIT_MISMATCH or
     * an error that was printed. Fills report, a JSON object that already names the case, and
     * status, one word for the line.
     */
    int (*take)(void *user, const struct golden *c, const struct array *results, json_t *report,
                const char **status);
    /* Prints more lines about a case; NULL: nothing to add. */
    void (*details)(const json_t *report);
    void *user;
    struct session session;
};

/* Returns the worst exit code: an error before a mismatch before success. */
int walk_cases(struct case_walk *walk, int n, char **paths);

#endif
