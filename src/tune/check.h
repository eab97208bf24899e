/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May a candidate be timed? It must be right on a small uneven corner of the problem and on the
 * problem itself: every element of the outputs written, nothing else touched, rows equal to what
 * double gives, and twice the same bits.
 */
#ifndef CLA_CHECK_H
#define CLA_CHECK_H

#include "subject.h"

typedef enum cla_check_result {
    CLA_CHECK_RIGHT,
    CLA_CHECK_WRONG,  /* it ran, and what it left is not what it should have */
    CLA_CHECK_FAILED, /* it did not run, or could not be looked at: nothing is known about it */
} cla_check_result;

/* plan: of the subject's problem, with the candidate pinned. Unless right, why is one sentence. */
cla_check_result cla_check(cla_subject *subject, clattn_plan *plan, uint64_t seed, char *why,
                           size_t size);

#endif
