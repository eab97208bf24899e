/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The points a search has tried, and how many samples each of them gets. Times are noisy, and the
 * best of many noisy numbers is mostly luck. So a point is given up after one sample when it is far
 * behind the best, after three when it is behind, else it gets seven; two points that are close get
 * more until one is clearly ahead. How close is close follows the noise that was seen.
 */
#ifndef CLA_RACE_H
#define CLA_RACE_H

#include "search.h"

enum { CLA_RACE_SAMPLES = 7, CLA_RACE_MORE = 15, CLA_MAX_SAMPLES = 32 };

typedef struct cla_trial {
    uint32_t code;
    cla_verdict verdict;
    bool started;                   /* moves were made from here */
    int n;                          /* samples; 0: known from before */
    double sample[CLA_MAX_SAMPLES]; /* ascending */
    double us;                      /* mean of the faster half of the samples */
} cla_trial;

typedef struct cla_race {
    const cla_prober *prober;
    cla_trial *trials;
    int num_trials, max_trials;
    int32_t *table; /* code -> trial + 1; open addressing */
    uint32_t mask;
    int best; /* fastest trial, -1: none */
    int samples, rejected;
    double spread; /* relative spread of a sample, summed over num_spreads trials */
    int num_spreads;
    bool stopped; /* the prober has no more samples */
} cla_race;

/* Room for max_trials points. False: out of memory. */
bool cla_race_make(cla_race *race, const cla_prober *prober, int max_trials);
void cla_race_free(cla_race *race);

/* The trial of a point; NULL: it was not tried. */
cla_trial *cla_race_find(const cla_race *race, uint32_t code);

/* A new point. There must be room. Known points are added without a sample. */
cla_trial *cla_race_run(cla_race *race, uint32_t code);
void cla_race_know(cla_race *race, const cla_known *known);

/* One more sample; false: there is none to be had. */
bool cla_race_sample(cla_race *race, cla_trial *trial, double limit_us);

/* Is it faster than the other one by more than the noise and half a percent? Samples both. */
bool cla_race_beats(cla_race *race, cla_trial *trial, cla_trial *other);

/* Half of what the middle half of the samples spans. */
double cla_trial_spread(const cla_trial *trial);

/* What n samples leave open, relative. */
double cla_race_margin(const cla_race *race, int n);

#endif
