/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention as plainly as it can be said, in f32 and in double, for the pass rule. */
#include <math.h>
#include <stdlib.h>

#include "cli.h"
#include "linear_job.h"

#define REAL float
#define NAIVE(name) name##_f32
#define EXP expf
#define SQRT sqrtf
#include "naive_linear.h"
#undef REAL
#undef NAIVE
#undef EXP
#undef SQRT

#define REAL double
#define NAIVE(name) name##_f64
#define EXP exp
#define SQRT sqrt
#include "naive_linear.h"
