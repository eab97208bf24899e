/* SPDX-License-Identifier: Apache-2.0 */
/* Problems without memory, for tests that compile kernels and run none. */
#ifndef TEST_SAMPLE_PROJECTION_H
#define TEST_SAMPLE_PROJECTION_H

#include <string.h>

#include "problem.h"

/* extras: three parts with every option, weights in w_type. */
static inline cla_proj sample_projection(int32_t rows, clattn_dtype type, clattn_dtype w_type,
                                         bool extras)
{
    cla_proj p;
    memset(&p, 0, sizeof p);
    p.B = 1;
    p.N = p.rows = rows;
    p.M = 512;
    p.parts = extras ? 3 : 1;
    p.in_type = p.out_type = type;
    p.w_type = w_type;
    p.scale_type = CLATTN_F32;
    p.bias_type = p.residual_type = extras ? type : CLATTN_F32;
    p.has_bias = p.has_residual = p.has_rotary = p.has_starts = extras;
    p.w_along = CLA_W_ALONG_M;
    for (int i = 0; i < p.parts; i++) {
        p.part[i].H = 4;
        p.part[i].K = 64;
        p.part[i].out = 256;
    }
    return p;
}

static inline cla_rope sample_rope(clattn_dtype type, bool extras)
{
    cla_rope p;
    memset(&p, 0, sizeof p);
    p.B = 2;
    p.N = 40;
    p.H = 4;
    p.D = 64;
    p.in_type = p.out_type = type;
    p.neox = p.has_starts = extras;
    return p;
}

#endif
