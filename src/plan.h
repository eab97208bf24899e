/* SPDX-License-Identifier: Apache-2.0 */
/* A validated problem, its kernels compiled and its workspace allocated. The same for every op. */
#ifndef CLA_PLAN_H
#define CLA_PLAN_H

#include "dispatch.h"
#include "kv.h"
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

enum { CLA_MAX_STAGES = 3, CLA_MAX_LAUNCHES = 4 * CLA_MAX_STAGES, CLA_MAX_PROBLEM = 4096,
       CLA_MAX_PLAN_PARTS = 4, CLA_MAX_SLOTS = 32, CLA_MAX_PARAMS = 4096 };

/* Room for the problem struct of any operation. */
typedef union cla_problem {
    max_align_t align;
    char bytes[CLA_MAX_PROBLEM];
} cla_problem;

/* sizeof a params struct that fits there; of a larger one it does not compile. */
#define CLA_PARAMS_SIZE(type) \
    (sizeof(type) + 0 * sizeof(char[sizeof(type) <= CLA_MAX_PARAMS ? 1 : -1]))

/* Rows that a run appends to a cache, 0 when it only reads it; kv NULL: there is none. */
typedef struct cla_growth {
    clattn_kv *kv;
    int32_t first, count;
    int64_t rows;
} cla_growth;

/* The public params of an operation: offsets in its struct, and its checks. */
typedef struct cla_op_params {
    size_t size;      /* CLA_PARAMS_SIZE() */
    size_t kernel;    /* of the name of the pinned kernel */
    size_t workspace; /* of the caller's workspace; 0: the operation takes none */
    /* Makes the zeroed problem from a copy of the caller's params, which it may change. once: the
     * problem runs now and never again; else it is that of a plan. */
    clattn_status (*check)(clattn_ctx *ctx, void *params, bool once, void *problem);
    /* The cache of the problem, and what is appended to it; NULL: there is none ever. */
    cla_growth (*growth)(const void *params, const void *problem);
} cla_op_params;

typedef struct cla_op_tuning cla_op_tuning; /* tune/op_tuning.h */

/* What the plan code needs to know about an operation. */
typedef struct cla_op {
    const char *name;
    cla_op_params params;
    size_t size;                /* of the problem struct */
    const cla_slot *slots;      /* every tensor but the workspace; name NULL ends */
    size_t work;                /* offset of the workspace view */
    /* Offset of the view of i32 that are 0 before and after each launch, the plan's own; bind()
     * sets its span. 0: there is none. */
    size_t marks;
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
    const cla_op_tuning *tuning; /* NULL: it is not tuned */
} cla_op;

/* Before a run: makes room for the rows, and sees to it that the device knows the cache. */
clattn_status cla_grow(const cla_growth *grow);

/* After a run that failed: the cache is as it was before cla_grow(). */
void cla_ungrow(const cla_growth *grow);

struct clattn_plan {
    clattn_ctx *ctx;
    const cla_op *op;
    cla_growth grow;           /* before every run */
    int num_parts;             /* more than 0: a plan of plans, and most of what follows is empty */
    int main_part;             /* the one that clattn_plan_describe() names */
    clattn_plan *parts[CLA_MAX_PLAN_PARTS];
    void *problem;             /* op->size bytes, with what bind() derived */
    void *key;                 /* op->size bytes: the problem without its memory */
    bool holds_buffers;
    bool checked;              /* by selfcheck.h, at least once */
    cla_work cost;             /* of the problem with the lengths it had when it was planned */

    int num_choices;           /* 0: nothing to launch */
    cla_choice choices[CLA_MAX_STAGES];
    int num_launches;
    cla_launch launches[CLA_MAX_LAUNCHES];

    size_t workspace_bytes;
    clattn_buffer *workspace;  /* NULL when the caller brings it */
    clattn_buffer *marks;      /* NULL: none are needed */
    char config[256];
};

/* The view behind a slot. */
static inline cla_view *cla_slot_view(const cla_slot *slot, void *problem)
{
    return (cla_view *)((char *)problem + slot->offset);
}

/* No output may share memory with another tensor, unless op->in_place says so. */
clattn_status cla_check_overlap(clattn_ctx *ctx, const cla_op *op, void *problem);

/* An empty plan, to be filled by its maker; freed by clattn_plan_destroy(). */
clattn_status cla_plan_new(clattn_ctx *ctx, const cla_op *op, clattn_plan **out);

/*
 * Makes a plan of its own copy of the problem. The pin applies to the first stage. Allocates the
 * workspace unless the problem has one.
 */
clattn_status cla_plan_make(clattn_ctx *ctx, const cla_op *op, const void *problem,
                            const cla_pin *pin, clattn_plan **out);

/*
 * What problems that share a plan have in common, op->size bytes: everything but buffers, host
 * pointers, offsets, workspace and what may differ from run to run.
 */
void cla_plan_key(const cla_op *op, const void *problem, void *key);
bool cla_plan_has_key(const clattn_plan *plan, const cla_op *op, const void *key);

/*
 * Runs a plan on a problem that differs from its own in buffers, host pointers and offsets only.
 * The second form is for who looks at all of the results: it does not look itself, as CLATTN_CHECK
 * may have the first do.
 */
clattn_status cla_plan_execute(clattn_plan *plan, const void *problem, const cla_events *events);
clattn_status cla_plan_execute_unchecked(clattn_plan *plan, const void *problem,
                                         const cla_events *events);

/* The one-call form: finds the plan in the context or makes it, then executes it. */
clattn_status cla_plan_call(clattn_ctx *ctx, const cla_op *op, const void *problem,
                            const cla_pin *pin);

/* The same after the cache has grown; should it fail the cache is as it was. */
clattn_status cla_plan_call_growing(clattn_ctx *ctx, const cla_op *op, const void *problem,
                                    const cla_pin *pin, const cla_growth *grow);

void cla_plan_cache_free(struct cla_plan_cache **cache);

/* Keeps the buffers of the plan's own problem alive as long as the plan. */
void cla_plan_hold_buffers(clattn_plan *plan);

/* The public forms that take a plan. plan may be NULL or of another operation. */
clattn_status cla_plan_enter(clattn_plan *plan, const cla_op *op);

/* problem must be the plan's but for its memory. The cache grows first. */
clattn_status cla_plan_run_on(clattn_plan *plan, const void *problem, const cla_growth *grow,
                              const cla_events *events);

/* On the plan's own tensors. */
clattn_status cla_plan_run_own(clattn_plan *plan, const cla_events *events);

extern const cla_op cla_op_attention, cla_op_merge, cla_op_argmax, cla_op_linear_attention,
    cla_op_projection, cla_op_rope, cla_op_append, cla_op_rowwise, cla_op_embedding;

/* All of these, NULL at the end; NULL for a name of none. */
extern const cla_op *const cla_ops[];
const cla_op *cla_op_find(const char *name);

extern const cla_op_tuning cla_tuning_attention, cla_tuning_argmax, cla_tuning_linear_attention,
    cla_tuning_merge, cla_tuning_projection, cla_tuning_rope, cla_tuning_rowwise,
    cla_tuning_embedding;

#endif
