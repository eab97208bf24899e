/* SPDX-License-Identifier: Apache-2.0 */
/* Problems of functions of rows and of embeddings that no call made: for descriptors and gates. */
#ifndef TEST_SAMPLE_ROW_H
#define TEST_SAMPLE_ROW_H

#include <string.h>

#include "problem.h"

static inline cla_rowwise sample_rowwise(clattn_dtype type, bool extras)
{
    cla_rowwise p;
    memset(&p, 0, sizeof p);
    p.B = 2;
    p.N = 40;
    p.M = 768;
    p.function = extras ? CLATTN_ROW_NORM : CLATTN_ROW_GELU;
    p.in_type = p.out_type = type;
    p.weight_type = p.bias_type = extras ? type : CLATTN_F32;
    p.has_weight = p.has_bias = extras;
    p.scale = 1;
    return p;
}

static inline cla_embedding sample_embedding(clattn_dtype type, bool extras)
{
    cla_embedding p;
    memset(&p, 0, sizeof p);
    p.B = 2;
    p.N = 40;
    p.M = 768;
    p.V = 500;
    p.P = p.T = extras ? 64 : 0;
    p.in_type = p.out_type = type;
    p.has_positions = p.has_types = p.has_type_ids = p.has_starts = extras;
    return p;
}

#endif
