/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Argmax attention: the best key in double, and which keys an implementation with f32 sums may
 * choose. Of a problem only q, k, the sizes and what hides keys are looked at.
 */
#ifndef REF_ARGMAX_H
#define REF_ARGMAX_H

#include "ref_attention.h"

/* The lowest index among the best scores that row i of head h sees; NaN is below -inf; -1: none. */
int ref_argmax(const ref_attn *p, int b, int h, int i);

/*
 * Why index cannot be the answer for a row, in a static buffer; NULL if it can. It can be when
 *
 *     it is -1 and the row sees no key, or the row sees the key;
 *     no other visible key beats its score by more than both may be off: D roundings of 2^-24 of
 *     the sum of |q_d k_d| each, and what is lost where subnormals are 0;
 *     no lower one of the visible keys is equal to it, or as infinite, or as NaN.
 */
const char *ref_argmax_why_not(const ref_attn *p, int b, int h, int i, int index);

#endif
