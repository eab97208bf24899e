/* SPDX-License-Identifier: Apache-2.0 */
/* What an operation must cost on a device, beside variants of it: a table, as text or JSON. */
#ifndef COST_H
#define COST_H

#include "report.h"
#include "session.h"

enum { COST_MAX_ROWS = 8, COST_MAX_COLUMNS = 4, COST_MAX_FACTS = 2 };

struct cost_row {
    char name[24], part[16]; /* "MHA", "attention"; may be "" */
    double flops, bytes;     /* useful ones; each input read once, each output written once */
    double value[COST_MAX_COLUMNS];
};

/* Filled by an operation; texts are constants. */
struct cost_table {
    const char *list, *key; /* JSON names: of the list of rows; of a row's name, NULL: has none */
    const char *part_key;   /* likewise of its part */
    struct cost_column {
        const char *key, *title; /* title NULL: only in JSON */
        bool bytes;
    } column[COST_MAX_COLUMNS];
    int columns, rows;
    struct cost_row row[COST_MAX_ROWS];
    int given; /* the row of the shape as it was given */
    struct cost_fact {
        const char *key; /* JSON */
        double value;
    } fact[COST_MAX_FACTS];
    int facts;
    char note[512]; /* below the table */
};

/* Appends a row with a name; returns it zeroed. */
struct cost_row *cost_add(struct cost_table *t, const char *name);

struct cost_subject {
    const char *op, *shape, *flags;
    clattn_dtype dtype;
    const clattn_device_info *device;
    struct peaks peaks;
};
void cost_print(const struct cost_table *t, const struct cost_subject *of, bool json);

/* "compute" or "memory". */
const char *floor_bound(const struct floor_time *floor);

/* Add bound and floor_us; peak_gflops and peak_gbytes_per_s. */
void json_floor(json_t *object, const struct floor_time *floor);
void json_peaks(json_t *object, const struct peaks *peaks, clattn_dtype dtype);

#endif
