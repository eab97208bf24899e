/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pass rule: max |got - want| <= 2 max |naive - want| + 8 ulp of the output dtype at the
 * largest magnitude of want, and the same NaN and infinities.
 */
#ifndef PASS_RULE_H
#define PASS_RULE_H

#include "array.h"

struct verdict {
    bool pass;
    double err, bound; /* ratio = err / bound */
    char why[160];     /* empty, or what differs beside the error */
};

/*
 * naive is measured against truth, made with double sums from the same inputs: if it were measured
 * against want, a want that is wrong would allow results that are as wrong. Integers must be equal,
 * then err is the largest difference and bound 0.
 */
struct verdict pass_rule(const struct array *got, const struct array *want,
                         const struct array *naive, const struct array *truth, clattn_dtype dtype);

#endif
