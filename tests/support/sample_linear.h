/* SPDX-License-Identifier: Apache-2.0 */
/* A linear attention problem without memory, for tests that compile kernels and run none. */
#ifndef TEST_SAMPLE_LINEAR_H
#define TEST_SAMPLE_LINEAR_H

#include <string.h>

#include "problem.h"

/* extras: poly2, causal, ragged and with states; else elu1 of all keys. */
static inline cla_linear sample_linear(int32_t D, int32_t Dv, clattn_dtype type, bool extras)
{
    cla_linear p;
    memset(&p, 0, sizeof p);
    p.B = 1;
    p.Hq = 4;
    p.Hk = 2;
    p.G = 2;
    p.Nq = p.Nk = p.Tq = p.Tk = 2000;
    p.D = D;
    p.Dv = Dv;
    p.F = extras ? 1 + D + D * (D + 1) / 2 : D;
    p.in_type = p.out_type = type;
    p.map = extras ? CLATTN_MAP_POLY2 : CLATTN_MAP_ELU1;
    p.normalized = 1;
    p.causal = p.ragged = p.has_in = p.has_out = extras;
    p.scale = p.c = 1.0f;
    p.segs = 1;
    p.seg_keys = p.Nk;
    return p;
}

#endif
