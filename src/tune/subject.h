/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What candidates run on: a problem with tensors of its own, random inputs and poisoned outputs,
 * with guard bands around each and behind the workspace. Sizes, strides and dtypes are those of the
 * problem it is made from.
 */
#ifndef CLA_SUBJECT_H
#define CLA_SUBJECT_H

#include "plan.h"

enum { CLA_MAX_COPIES = 8 };

/* One tensor: guard, elements, guard; on the device as many copies as the subject has. */
typedef struct cla_subject_part {
    const cla_slot *slot;
    size_t bytes;         /* guards included */
    unsigned char poison; /* of outputs and guards */
    unsigned char *host;  /* inputs: what is on the device; outputs: what was read back */
    unsigned char *again; /* outputs: what the second run gave */
    clattn_buffer *buffer[CLA_MAX_COPIES];
} cla_subject_part;

typedef struct cla_subject {
    clattn_ctx *ctx;
    const cla_op *op;
    cla_problem problem; /* with views of the first copy */
    int num_parts, num_copies;
    cla_subject_part parts[CLA_MAX_SLOTS];
    clattn_buffer *work; /* grows with the plans that run */
} cla_subject;

/*
 * problem: of op, buffers and host pointers are not looked at. Copies are made until they outgrow
 * caches, when the operation is bound by bandwidth. Free with cla_subject_free(), half-made too.
 */
clattn_status cla_subject_make(clattn_ctx *ctx, const cla_op *op, const void *problem,
                               uint64_t seed, cla_subject *out);
void cla_subject_free(cla_subject *subject);

/* The problem on the tensors of one copy; shape: the problem itself, or a corner of it. */
void cla_subject_attach(const cla_subject *subject, const void *shape, int copy, cla_problem *out);

/* Runs a plan on one copy, workspace included. */
clattn_status cla_subject_run(cla_subject *subject, clattn_plan *plan, const void *shape, int copy);

/*
 * Poisons the outputs of the first copy, and the guard behind the workspace of a plan; reads the
 * outputs back, into host or again. kept: is the guard as it was?
 */
clattn_status cla_subject_poison(cla_subject *subject, const clattn_plan *plan);
clattn_status cla_subject_read(cla_subject *subject, const clattn_plan *plan, bool again,
                               bool *kept);

/* The same problem, all of it in host memory, after cla_subject_read(). */
void cla_subject_on_host(const cla_subject *subject, const void *shape, cla_problem *out);

#endif
