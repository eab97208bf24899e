/* SPDX-License-Identifier: Apache-2.0 */
/* The full attention weights of chosen heads for one text: their memory grows with its square. */
#ifndef ATTENTION_MAPS_H
#define ATTENTION_MAPS_H

#include "model_job.h"

struct attention_maps {
    int layer, layers, head, heads, N;
    float *p; /* [layers][heads][N][N], of a causal model with zeros above the diagonal */
};

/* Of layers [layer, layer + layers) and their heads [head, head + heads). */
int attention_maps_make(struct model_job *job, const clm_ids *ids, int layer, int layers, int head,
                        int heads, struct attention_maps *out);
void attention_maps_free(struct attention_maps *maps);

#endif
