/* SPDX-License-Identifier: Apache-2.0 */
/* The full attention weights of chosen heads for one text: their memory grows with its square. */
#ifndef ATTENTION_MAPS_H
#define ATTENTION_MAPS_H

#include "model_job.h"

struct attention_maps {
    int layer, layers, head, heads, N;
    bool mean; /* over the heads of a layer; heads is 1 */
    float *p; /* [layers][heads][N][N], of a causal model with zeros above the diagonal */
};

/* Of the layers and heads that maps names; fills p and N. Free it in any case. */
int attention_maps_make(struct model_job *job, const clm_ids *ids, struct attention_maps *maps);
void attention_maps_free(struct attention_maps *maps);

#endif
