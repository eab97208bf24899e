/* SPDX-License-Identifier: Apache-2.0 */
/* Storage dtypes by arithmetic alone, independent of the library's conversions. */
#ifndef TEST_STORAGE_H
#define TEST_STORAGE_H

#include <clattn/clattn.h>

/* The nearest representable value, ties to even; f16 overflows to inf. */
float storage_round(clattn_dtype dtype, float x);

/* Element i of an array of dtype; put rounds. u8 and i32 must be given integers in range. */
void storage_put(clattn_dtype dtype, void *array, size_t i, float x);
float storage_get(clattn_dtype dtype, const void *array, size_t i);

/* Distance between neighbours of dtype at this magnitude. */
double storage_ulp(clattn_dtype dtype, double magnitude);

#endif
