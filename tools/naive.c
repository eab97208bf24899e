/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax and argmax attention as plainly as it can be said, in f32 and in double: what the pass
 * rule measures results against. Made from naive_attention.h, once per type.
 */
#include <math.h>
#include <stdlib.h>

#include "attn_job.h"
#include "cli.h"

#define REAL float
#define NAIVE(name) name##_f32
#define EXP expf
#define LOG logf
#define TANH tanhf
#define SQRT sqrtf
#include "naive_attention.h"
#undef REAL
#undef NAIVE
#undef EXP
#undef LOG
#undef TANH
#undef SQRT

#define REAL double
#define NAIVE(name) name##_f64
#define EXP exp
#define LOG log
#define TANH tanh
#define SQRT sqrt
#include "naive_attention.h"
