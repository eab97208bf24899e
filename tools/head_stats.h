/* SPDX-License-Identifier: Apache-2.0 */
/* What the heads of a model look at in one text, in numbers; made from tiles of weights. */
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

struct head_stats {
    int layer, head;
    double pattern[NUM_PATTERNS]; /* means over the rows that have such a token */
    double distance;              /* mean of sum p |i - j| */
    double entropy;               /* mean of -sum p log p over its maximum: 1 looks everywhere */
    enum head_pattern best;
    int rows, later_rows, spread_rows; /* all; those behind the first; those that see several */
};

const char *pattern_name(enum head_pattern pattern);

/* Reads a text and fills layers * heads entries, to be freed. Returns EXIT_OK or fail(). */
int head_stats_make(struct model_job *job, const clm_ids *ids, struct head_stats **out);

#endif
