/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded spaces: the time of every legal configuration, with samples, so that searches can be
 * replayed without a device. A trace is a CSV file: the axes, then median_ms (the truth), then
 * samples_ms, separated by semicolons, in the order in which they were taken. An axis of the name
 * "kernel" makes variants.
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdio.h>

#include "tune/search.h"

enum { TRACE_SAMPLES = 16, TRACE_CHOICES = 32 };

typedef struct trace_row {
    int value[CLA_MAX_AXES]; /* number of the choice on each axis */
    double median_us;
    int n;
    double sample_us[TRACE_SAMPLES];
} trace_row;

typedef struct trace {
    int num_axes;
    char axis[CLA_MAX_AXES][16];
    int counts[CLA_MAX_AXES], choices[CLA_MAX_AXES][TRACE_CHOICES]; /* ascending */
    int num_rows;
    trace_row *rows;
    int *row_of; /* code -> row, -1: illegal */
    double best_us;
    cla_space space;
} trace;

/* Exits with a sentence when the file is no trace. */
void trace_read(trace *t, FILE *file, const char *name);
void trace_free(trace *t);

/* Median time of a point over the best one's. */
double trace_regret(const trace *t, uint32_t code);

typedef enum trace_order { TRACE_AS_RECORDED, TRACE_SHUFFLED, TRACE_NOISELESS } trace_order;

typedef struct trace_replay {
    const trace *trace;
    trace_order order;
    uint64_t random;
    double now; /* fake clock, seconds */
    int *taken; /* samples of each row so far */
} trace_replay;

/* A search of the whole trace, cold. */
void trace_search(const trace *t, trace_order order, uint64_t seed, int evals,
                  cla_search_result *result);

#endif
