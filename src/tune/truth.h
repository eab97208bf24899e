/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the result of an operation right? Some rows of the outputs are computed again, in double, by
 * plain loops over the views of the problem, and compared. What may differ follows from the sums:
 * how far f32 in any order can be off, and what storing rounds away.
 */
#ifndef CLA_TRUTH_H
#define CLA_TRUTH_H

#include "plan.h"

/* Is there a check for this problem of the operation? Not yet for rows that go into a cache. */
bool cla_truth_known(const cla_op *op, const void *problem);

/*
 * All views of the problem lie in host memory. seed picks the rows when there are many. False: why
 * is one sentence.
 */
bool cla_truth_holds(const cla_op *op, const void *problem, uint64_t seed, char *why, size_t size);

#endif
