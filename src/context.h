/* SPDX-License-Identifier: Apache-2.0 */
/* The context: one device, its queue, its error sentence and its plan cache. */
#ifndef CLA_CONTEXT_H
#define CLA_CONTEXT_H

#include <stdarg.h>
#include <sys/types.h>

#include "cpu/cpu.h"
#include "device.h"
#include "status.h"

struct cla_cl; /* the OpenCL side, see opencl/runtime.h */

/* CLATTN_CHECK, see selfcheck.h. */
typedef struct cla_selfcheck {
    bool on;
    double next; /* no check before, of a plan that had one; as cla_seconds() */
    uint64_t random;
} cla_selfcheck;

struct clattn_ctx {
    int refs; /* the user's handle, and one per buffer and plan */
    pid_t pid;
    cla_dev dev;
    cla_cpu cpu;
    struct cla_cl *cl; /* NULL: the native CPU */

    clattn_log_fn log;
    void *log_user;
    clattn_log_level log_level;
    char error[768];

    clattn_effort effort; /* OFF: stored results are not looked at */
    int num_threads;      /* as the user gave it; 0: the default */
    cla_selfcheck check;
    bool adopted;         /* OpenCL objects of the user's: no other process could open them */

    struct cla_plan_cache *plans; /* of the one-call forms; made on first use */
    struct cla_store *store;      /* tuning results, see tune/store.h; read on first use */
};

struct clattn_buffer {
    int refs; /* the user's handle, and one per plan that was made with it */
    clattn_ctx *ctx;
    size_t bytes;
    void *host; /* native CPU: the memory */
    void *mem;  /* OpenCL: the cl_mem */
};

/* The first line of every entry point: NULL and fork. */
clattn_status cla_enter(clattn_ctx *ctx);

clattn_ctx *cla_ctx_retain(clattn_ctx *ctx);
void cla_ctx_release(clattn_ctx *ctx);

/* A context with its log set and nothing else; freed by cla_ctx_release(). */
clattn_ctx *cla_ctx_new(const struct clattn_ctx_params *params);

void cla_log(const clattn_ctx *ctx, clattn_log_level level, const char *fmt, ...) CLA_PRINTF(3, 4);

#endif
