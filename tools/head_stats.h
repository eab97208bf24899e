/* SPDX-License-Identifier: Apache-2.0 */
/* What the heads of a model look at in one text, in numbers. */
#ifndef HEAD_STATS_H
#define HEAD_STATS_H

#include "model_job.h"

enum head_pattern {
    PATTERN_PREVIOUS,  /* mean weight of the token before */
    PATTERN_SELF,      /* ... of the token itself */
    PATTERN_FIRST,     /* ... of the first token of the text: [CLS] */
    PATTERN_SEPARATOR, /* ... of all [SEP] that are not the first token */
    NUM_PATTERNS
};

/* A token that looks, and one that it looks at. */
struct head_pair {
    int from, to;
    float weight;
};

struct head_stats {
    int layer, head;
    double pattern[NUM_PATTERNS]; /* means over the rows that have such a token */
    double distance;              /* mean of sum p |i - j| */
    double entropy;               /* mean of -sum p log p over its maximum: 1 looks everywhere */
    enum head_pattern best;
    int later_rows, spread_rows;  /* those behind the first; those that see several */
    int num_pairs;
    struct head_pair *pairs;      /* the largest weights of rows that see several, falling */
};

const char *pattern_name(enum head_pattern pattern);

struct head_table {
    int count; /* layers * heads */
    struct head_stats *heads;
    struct head_pair *pairs; /* of all heads */
};

/* Reads a text; up to so many pairs of each head. Returns EXIT_OK or fail(); free it anyway. */
int head_table_make(struct model_job *job, const clm_ids *ids, int pairs, struct head_table *out);
void head_table_free(struct head_table *table);

#endif
