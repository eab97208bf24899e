/* SPDX-License-Identifier: Apache-2.0 */
/* A validated problem, its kernels compiled and its workspace allocated. The same for every op. */
#ifndef CLA_PLAN_H
#define CLA_PLAN_H

#include "dispatch.h"
#include "opencl/runtime.h"

/* A tensor of a problem struct. */
typedef struct cla_slot {
    const char *name;
    size_t offset; /* of the cla_view */
    bool written;
} cla_slot;

/* One stage of an operation. */
typedef struct cla_op_stage {
    cla_stage stage;
    bool (*wanted)(const void *problem); /* NULL: always */
} cla_op_stage;

enum { CLA_MAX_STAGES = 2, CLA_MAX_LAUNCHES = 4 * CLA_MAX_STAGES, CLA_MAX_PROBLEM = 4096 };

/* What the plan code needs to know about an operation. */
typedef struct cla_op {
    const char *name;
    size_t size;                /* of the problem struct */
    const cla_slot *slots;      /* every tensor but the workspace; name NULL ends */
    size_t work;                /* offset of the workspace view */
    int num_stages;
    cla_op_stage stages[CLA_MAX_STAGES];
    bool (*empty)(const void *problem); /* nothing to launch */
    cla_work (*cost)(const void *problem);
    /* Adds to every workspace offset that bind() wrote; NULL: there are none. */
    void (*rebase)(void *problem, int64_t floats);
    /* Bytes of the problem that may differ from run to run, beside buffers and offsets. */
    size_t varies, varies_size;
    /* May an output of one name and an input of another be the same view? NULL: never. */
    bool (*in_place)(const cla_slot *output, const cla_slot *input);
} cla_op;

struct clattn_plan {
    clattn_ctx *ctx;
    const cla_op *op;
    void *problem;             /* op->size bytes, with what bind() derived */
    void *key;                 /* op->size bytes: the problem without its memory */
    bool holds_buffers;

    int num_choices;           /* 0: nothing to launch */
    cla_choice choices[CLA_MAX_STAGES];
    int num_launches;
    cla_launch launches[CLA_MAX_LAUNCHES];

    size_t workspace_bytes;
    clattn_buffer *workspace;  /* NULL when the caller brings it */
    char config[256];
};

/* The view behind a slot. */
static inline cla_view *cla_slot_view(const cla_slot *slot, void *problem)
{
    return (cla_view *)((char *)problem + slot->offset);
}

/* No output may share memory with another tensor, unless op->in_place says so. */
clattn_status cla_check_overlap(clattn_ctx *ctx, const cla_op *op, void *problem);

/*
 * Makes a plan of its own copy of the problem. The pin applies to the first stage. Allocates the
 * workspace unless the problem has one.
 */
clattn_status cla_plan_make(clattn_ctx *ctx, const cla_op *op, const void *problem,
                            const cla_pin *pin, clattn_plan **out);

/* Do plan and problem agree in everything but buffers, host pointers, offsets and workspace? */
bool cla_plan_fits(const clattn_plan *plan, const cla_op *op, const void *problem);

/* Runs a plan on a problem that differs from its own in buffers, host pointers and offsets only. */
clattn_status cla_plan_execute(clattn_plan *plan, const void *problem, const cla_events *events);

/* The one-call form: finds the plan in the context or makes it, then executes it. */
clattn_status cla_plan_call(clattn_ctx *ctx, const cla_op *op, const void *problem,
                            const cla_pin *pin);

void cla_plan_cache_free(struct cla_plan_cache **cache);

/* Keeps the buffers of the plan's own problem alive as long as the plan. */
void cla_plan_hold_buffers(clattn_plan *plan);

/*
 * The public forms that take a plan. plan may be NULL or of another operation. problem NULL: the
 * plan's own tensors.
 */
clattn_status cla_plan_enter(clattn_plan *plan, const cla_op *op);
clattn_status cla_plan_run_on(clattn_plan *plan, const void *problem, const cla_events *events);

extern const cla_op cla_op_linear_attention;
extern const cla_op cla_op_attention, cla_op_merge, cla_op_argmax,
    cla_op_projection, cla_op_rope, cla_op_append;

/* One per operation: a plan on new tensors, with events. */
clattn_status cla_attention_run(clattn_plan *plan, const struct clattn_attention_params *params,
                                const cla_events *events);
clattn_status cla_linear_attention_run(clattn_plan *plan,
                                       const struct clattn_linear_attention_params *params,
                                       const cla_events *events);
clattn_status cla_merge_run(clattn_plan *plan, const struct clattn_merge_params *params,
                            const cla_events *events);
clattn_status cla_argmax_run(clattn_plan *plan, const struct clattn_argmax_params *params,
                             const cla_events *events);
clattn_status cla_projection_run(clattn_plan *plan, const struct clattn_projection_params *params,
                                 const cla_events *events);
clattn_status cla_rope_run(clattn_plan *plan, const struct clattn_rope_params *params,
                           const cla_events *events);

#endif
