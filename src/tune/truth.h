/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the result of an operation right? Some rows of the outputs are computed again, in double, by
 * plain loops over the views of the problem, and compared. What may differ follows from the sums:
 * how far f32 in any order can be off, and what storing rounds away. Here is what the truth_*.c
 * files share: elements of views, which rows to look at, how to complain.
 */
#ifndef CLA_TRUTH_H
#define CLA_TRUTH_H

#include "problem.h"

/* Half an ulp of f32 at 1: what one rounding costs. */
#define CLA_ROUNDING 0x1p-24

/* Who looks at a result. */
typedef struct cla_judge {
    uint64_t seed; /* picks the rows when there are many */
    char *why;     /* one sentence, when something is wrong */
    size_t size;
    bool *blind;   /* set when there was no memory to look: then nothing is known */
    int rows;      /* so many at random; 0: as many as cost little, the first and last among them */
} cla_judge;

/* Element i of a view, counted from its first, as a number. */
double cla_truth_at(const cla_view *view, int64_t i);
int64_t cla_truth_int(const cla_view *view, int64_t i);

/*
 * Integers of the caller may have any contents: what counts lengths, rows and pages is clamped here
 * as the kernels clamp it.
 */
int64_t cla_within(int64_t x, int64_t low, int64_t high);

/* Packed rows of a sequence: of T that there are, `most` in one. */
typedef struct cla_span {
    int64_t first, count;
} cla_span;
cla_span cla_truth_span(const cla_view *cu_seqlens, int64_t b, int64_t T, int64_t most);

/* Is the row one of several of the B sequences? Each of them writes it, none knows when. */
bool cla_truth_shared(const cla_view *cu_seqlens, int64_t B, int64_t row, int64_t T, int64_t most);

/*
 * Distance between neighbours of a dtype at this magnitude; of those that a device may flush, of
 * the smallest that it keeps; infinite where rounding may give infinity.
 */
double cla_truth_ulp(int32_t dtype, double magnitude);

/* What rounding of the smallest numbers, and taking them for 0, adds to a sum of moderate ones. */
#define CLA_FLUSHED 0x1p-120

/*
 * a b, which adds its magnitude to a sum of them. Where one is so small that a device may take it
 * for 0, or for a number nearby, so much that a bound of a single rounding covers the product.
 */
double cla_truth_times(double a, double b, double *size);

/* A bound, or infinity when sums of numbers of this size may overflow f32. */
double cla_truth_bound(double allowed, double size);

/*
 * Does it hold for the rows that are looked at? That are all of them, if checking one, which costs
 * so many operations, is cheap; else the first, the last, and some between.
 */
typedef bool (*cla_truth_of_row)(const void *problem, const cla_judge *judge, int64_t row);
bool cla_truth_rows(const void *problem, const cla_judge *judge, int64_t total, double cost,
                    cla_truth_of_row holds);

/* Says that a row is wrong; false. */
bool cla_truth_wrong(const cla_judge *judge, const char *name, int64_t row, int64_t column,
                     double got, double want, double allowed);

/*
 * Compares one number; false, and says so, when it is off by more than allowed. True where that
 * or the number is none: what NaN, infinity and overflow make of f32 sums depends on their order.
 */
bool cla_truth_near(const cla_judge *judge, const char *name, int64_t row, int64_t column,
                    double got, double want, double allowed);

#endif
