/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One problem of any operation on a device: the buffers of its tensors, its plan, its runs.
 *
 *     struct clattn_projection_params *p =
 *         work_begin(&w, session, dtype, &projection_calls, clattn_projection_params(...))
 *     work_input(&w, "x", &x, dtype, &p->x);
 *     work_output(&w, &y, dtype, &p->y);
 *     code = work_plan(&w);
 *     work_run(&w), work_read(&w), work_end(&w)
 *
 * The first failure is printed and kept: what follows it does nothing and returns its code.
 */
#ifndef WORK_H
#define WORK_H

#include "array.h"
#include "session.h"

/* The calls of an operation. params is its struct of the public API. */
struct work_calls {
    size_t params_size;
    clattn_status (*plan)(clattn_ctx *ctx, const void *params, clattn_plan **out);
    clattn_status (*run)(clattn_plan *plan, const void *params);
};

/* Defines NAME_calls from clattn_plan_NAME() and clattn_plan_run_NAME(). */
#define WORK_CALLS(name)                                                                     \
    static clattn_status name##_plan(clattn_ctx *ctx, const void *params, clattn_plan **out) \
    {                                                                                        \
        return clattn_plan_##name(ctx, params, out);                                         \
    }                                                                                        \
    static clattn_status name##_run(clattn_plan *plan, const void *params)                   \
    {                                                                                        \
        return clattn_plan_run_##name(plan, params);                                         \
    }                                                                                        \
    static const struct work_calls name##_calls = { sizeof(struct clattn_##name##_params),   \
                                                    name##_plan, name##_run }

enum { WORK_MAX_TENSORS = 16 };

struct work_tensor {
    clattn_buffer *buffer;
    clattn_tensor *view;  /* in params */
    struct array *result; /* outputs: where work_read() stores it */
    int64_t step;         /* elements from one copy to the next */
};

struct work {
    struct session *session;
    const struct work_calls *calls;
    void *params;
    clattn_dtype dtype; /* what the user chose */
    int n;
    struct work_tensor tensor[WORK_MAX_TENSORS];
    clattn_plan *plan;
    clattn_plan_info info;
    double output_bytes;
    int64_t copies, turn; /* see work_rotate() */
    clattn_kv *kv;        /* owned; its sequences are the copies, kv_step of them each */
    int64_t *kv_sequence; /* in params */
    int64_t kv_step;
    int code;
};

/*
 * Copies params and returns the copy, w->params; NULL when there is no memory. work_end() in any
 * case.
 */
void *work_begin(struct work *w, struct session *s, clattn_dtype dtype,
                 const struct work_calls *calls, const void *params);

/*
 * Stores an array as dtype in a new buffer, and sets *view, a member of w->params, to a dense view
 * of it; an absent array leaves the view absent. name: for messages.
 */
void work_input(struct work *w, const char *name, const struct array *a, clattn_dtype dtype,
                clattn_tensor *view);

/* The same for bytes as they are stored. */
void work_input_bytes(struct work *w, const void *data, clattn_dtype dtype, int rank,
                      const int64_t *shape, clattn_tensor *view);

/*
 * Memory for a result, full of NaN: an element that is never written cannot pass. result gives the
 * shape, takes the values in work_read() and must live until then; absent: no such output.
 */
void work_output(struct work *w, struct array *result, clattn_dtype dtype, clattn_tensor *view);

int work_plan(struct work *w);

/* Runs and waits. */
int work_run(struct work *w);

/* Queues one run. */
clattn_status work_queue(struct work *w);

/* Reads all outputs, as f32 or i32. */
int work_read(struct work *w);

/*
 * Makes runs take turns on copies of all tensors, so many that they do not fit the device's caches:
 * what is bound by memory must read memory. room: bytes that the copies may take. It keeps a work
 * that is larger than the caches anyway as it is.
 */
int work_rotate(struct work *w, double room);

/* How many copies of so many bytes that takes. */
int64_t work_copies(const struct session *s, double bytes, double room);

/* Takes zeroed and ended works. */
void work_end(struct work *w);

#endif
