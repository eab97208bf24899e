/* SPDX-License-Identifier: Apache-2.0 */
/* What config.json of a model folder says. */
#ifndef CLM_MODEL_CONFIG_H
#define CLM_MODEL_CONFIG_H

#include <clattn/layers.h>
#include <jansson.h>

#include "fault.h"

typedef enum clm_family { CLM_GPT2, CLM_BERT } clm_family;

typedef struct clm_config {
    clm_family family;
    int layers, heads, M; /* M: width of a row; heads of M / heads */
    int inner;            /* width inside the feed-forward part */
    int vocab, positions;
    int types; /* BERT: kinds of segments */
    float eps;
    clattn_row_function activation;
    int end;             /* token that ends a text; -1: none */
    bool unscaled;       /* GPT-2: scores are q.k, not divided by sqrt(D) */
    bool scale_by_layer; /* GPT-2: scores of layer i are divided by i + 1 too */
} clm_config;

bool clm_config_parse(const json_t *json, clm_config *out, clm_fault *f);

#endif
