/* SPDX-License-Identifier: Apache-2.0 */
/* What the truth_*.c files share: elements of views, which rows to look at, how to complain. */
#ifndef CLA_TRUTH_PARTS_H
#define CLA_TRUTH_PARTS_H

#include "problem.h"

/* Half an ulp of f32 at 1: what one rounding costs. */
#define CLA_ROUNDING 0x1p-24

typedef struct cla_judge {
    uint64_t seed;
    char *why;
    size_t size;
} cla_judge;

/* Element i of a view, counted from its first, as a number. */
double cla_truth_at(const cla_view *view, int64_t i);
int64_t cla_truth_int(const cla_view *view, int64_t i);

/* Distance between neighbours of a dtype at this magnitude. */
double cla_truth_ulp(int32_t dtype, double magnitude);

/*
 * The n-th of a choice among total rows of which each costs so many operations: all of them if that
 * is cheap, else the first, the last, and some between. -1: no more.
 */
int64_t cla_truth_row(const cla_judge *judge, int64_t total, double cost, int n);

/* Says that a row is wrong; false. */
bool cla_truth_wrong(const cla_judge *judge, const char *name, int64_t row, int64_t column,
                     double got, double want, double allowed);

/* Compares one number; false, and says so, when it is off by more than allowed. */
bool cla_truth_near(const cla_judge *judge, const char *name, int64_t row, int64_t column,
                    double got, double want, double allowed);

bool cla_truth_attention(const cla_attn *p, const cla_judge *judge);
bool cla_truth_argmax(const cla_attn *p, const cla_judge *judge);
bool cla_truth_linear(const cla_linear *p, const cla_judge *judge);
bool cla_truth_projection(const cla_proj *p, const cla_judge *judge);
bool cla_truth_rope(const cla_rope *p, const cla_judge *judge);

#endif
