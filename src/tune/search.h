/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for a fast point of a space, by timing. Seeds and a few random points race each other;
 * moves of one axis and of two, from the best of them; restarts; and a match of the best few, timed
 * in turns. How a point is built, checked and timed, and what the time is, are the prober's
 * business: the search runs on recorded times as well.
 */
#ifndef CLA_SEARCH_H
#define CLA_SEARCH_H

#include <clattn/clattn.h>

#include "space.h"

typedef enum cla_verdict {
    CLA_VERDICT_OK,
    CLA_VERDICT_REJECTED, /* does not build, run or compute right: never looked at again */
    CLA_VERDICT_STOP,     /* no more samples can be had: cancelled, or the device is lost */
} cla_verdict;

/* How far a search is. */
typedef struct cla_search_status {
    int evals, max_evals; /* points tried by now and at most */
    uint32_t num_legal;
    int rejected;
    double seconds, max_seconds;
    double best_us, default_us; /* 0: not known yet */
    bool finals;
} cla_search_status;

typedef struct cla_prober {
    void *user;
    /*
     * One timing sample of a point, in microseconds; the first of a point builds and checks it. A
     * time beyond limit_us (0: none) needs no precision.
     */
    cla_verdict (*sample)(void *user, uint32_t code, double limit_us, double *us);
    double (*clock)(void *user); /* seconds */
    /* Both may be NULL. tried: a point has got the samples that it gets; us is 0 when rejected. */
    void (*tried)(void *user, uint32_t code, double us, double spread_us, int samples);
    void (*progress)(void *user, const cla_search_status *status);
} cla_prober;

/* A point that was tried before: resumes a search, or keeps it from what is known to be bad. */
typedef struct cla_known {
    uint32_t code;
    cla_verdict verdict;
    double us;
} cla_known;

typedef struct cla_search_limits {
    int evals; /* points to try at most */
    double seconds;
    int rounds;      /* of the finals */
    bool exhaustive; /* every legal point, in random order */
} cla_search_limits;

/* What an effort level may spend; all zero for the levels that time nothing. */
cla_search_limits cla_search_limits_of(clattn_effort effort);

typedef struct cla_search_options {
    cla_search_limits limits;
    uint64_t seed; /* equal seeds and equal samples make equal searches */
    /*
     * Points to start from, the default (what is used without tuning) first. The late ones are not
     * tried before there is a local optimum: they may be slow, and cost as much as many others.
     */
    const uint32_t *seeds;
    int num_seeds, num_late; /* of num_seeds, the last num_late */
    /* How likely random points of each variant are, until its speed is known; NULL: equally. */
    const double *prior;
    const cla_known *known;
    int num_known;
} cla_search_options;

enum { CLA_SEARCH_TOP = 4 };

typedef enum cla_search_end {
    CLA_END_COMPLETE, /* every legal point was tried */
    CLA_END_BUDGET,   /* evaluations or time ran out */
    CLA_END_STOPPED,  /* the prober said so */
} cla_search_end;

typedef struct cla_search_result {
    int num_top; /* 0: no point works */
    struct {
        uint32_t code;
        double us, spread_us;
        int samples;
    } top[CLA_SEARCH_TOP]; /* the winner first */
    double default_us;     /* 0: the default does not work or was never timed */
    int evals, samples, rejected;
    double seconds;
    cla_search_end end;
} cla_search_result;

/* False: out of memory. */
bool cla_search(const cla_space *space, const cla_search_options *options, const cla_prober *prober,
                cla_search_result *result);

#endif
