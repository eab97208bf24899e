/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tuning must know about an operation: with what its inputs are filled, which results are
 * right, where they are written. The rest follows from its descriptor. Views are told apart by
 * their place in the problem.
 */
#ifndef CLA_OP_TUNING_H
#define CLA_OP_TUNING_H

#include "plan.h"
#include "truth.h"

typedef struct cla_range {
    float low, high;
} cla_range;

struct cla_op_tuning {
    /* Can it be run at all? NULL: always. */
    bool (*possible)(const void *problem);
    /* Between which numbers the floats of an input lie; NULL: as cla_range_usual. */
    cla_range (*range)(const void *problem, const cla_view *input);
    /* Element i of an input of integers, which have a meaning; NULL: there is none. */
    int32_t (*integer)(const void *problem, const cla_view *input, int64_t i);
    /*
     * Makes it a small problem in a corner of the tensors, of uneven sizes, that the same kernel
     * builds serve. False: it has none; NULL: no problem of this operation has.
     */
    bool (*corner)(void *problem);
    /* The i-th piece of an output that is written; false: there are no more. NULL: outputs are
     * written whole. All views lie in host memory, here and below. */
    bool (*piece)(const void *problem, const cla_view *output, int64_t i, cla_view *piece);
    /* Are the outputs right? False: the judge knows why. */
    bool (*holds)(const void *problem, const cla_judge *judge);
};

/* May problems such as this one be tuned? */
bool cla_op_tunable(const cla_op *op, const void *problem);

/* ---- for the functions above ---- */

extern const cla_range cla_range_usual, cla_range_scales;

/* Sizes of corners, and an axis of a view, if it is there, cut to a length. */
enum { CLA_CORNER_ROWS = 37, CLA_CORNER_KEYS = 131, CLA_CORNER_HEADS = 2, CLA_CORNER_BATCH = 2 };
int32_t cla_least(int32_t a, int32_t b);
void cla_view_cut(cla_view *view, int axis, int32_t length);

/* Where sequence i starts, of those that share so many rows equally. */
int32_t cla_packed_start(const cla_view *starts, int64_t i, int64_t rows);

/* Every page once, in no order, for i from 0 on. */
int32_t cla_scattered_page(int64_t i, int64_t pages);

#endif
