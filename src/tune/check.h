/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May a candidate be timed? It must be right on a small uneven corner of the problem and on the
 * problem itself: every element of the outputs written, nothing else touched, rows equal to what
 * double gives, and twice the same bits.
 */
#ifndef CLA_CHECK_H
#define CLA_CHECK_H

#include "subject.h"

/* plan: of the subject's problem, with the candidate pinned. False: why is one sentence. */
bool cla_check(cla_subject *subject, clattn_plan *plan, uint64_t seed, char *why, size_t size);

#endif
