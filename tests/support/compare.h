/* SPDX-License-Identifier: Apache-2.0 */
/* The pass rule. */
#ifndef TEST_COMPARE_H
#define TEST_COMPARE_H

#include <clattn/clattn.h>

/* Text put in front of the messages of failed comparisons: which case, kernel, configuration. */
void compare_label(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *compare_label_text(void);

/* max |got - want| over the finite elements. */
double compare_error(const float *got, const double *want, size_t n);

/*
 * The rule: max |got - want| <= 2 naive_err + 8 ulp of dtype at the largest magnitude of want, and
 * NaN and inf in the same places. Fails the running test, naming the worst element. Returns the
 * error as a fraction of what is allowed.
 */
double compare_pass(const char *name, const float *got, const double *want, double naive_err,
                    size_t n, clattn_dtype dtype);

#endif
