/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenCL side of the library, as the rest of it sees it: no OpenCL header is needed here.
 * Built without OpenCL, opencl/none.c answers in its place.
 */
#ifndef CLA_RUNTIME_H
#define CLA_RUNTIME_H

#include "context.h"
#include "kernel.h"

/* The OpenCL objects of a context: device, queue, built programs. */
struct cla_cl;

/* An OpenCL device that may be opened: opaque platform and device handles, and what was probed. */
typedef struct cla_cl_device {
    void *platform, *device;
    cla_dev dev;
} cla_cl_device;

typedef struct cla_cl_devices {
    cla_cl_device *list; /* malloc'ed */
    int count;
    char trouble[160]; /* the last answer of a driver that listed no devices but failed; "" */
} cla_cl_devices;

/*
 * Lists all devices of all platforms, without probing when probe is false (names and limits only).
 * No platform at all is a list of length 0. Freed by cla_cl_devices_free().
 */
clattn_status cla_cl_list(clattn_ctx *ctx, bool probe, cla_cl_devices *out);
void cla_cl_devices_free(cla_cl_devices *devices);

/* Opens a device: fills ctx->cl and ctx->dev, probes included. */
clattn_status cla_cl_open(clattn_ctx *ctx, const cla_cl_device *device);
void cla_cl_close(struct cla_cl **cl, bool forked);
clattn_status cla_cl_finish(clattn_ctx *ctx);

/* The fields about compiled programs. */
struct clattn_cache_info;
void cla_cl_binaries_describe(clattn_ctx *ctx, struct clattn_cache_info *info);

clattn_status cla_cl_buffer_create(clattn_ctx *ctx, size_t bytes, void **mem);
void cla_cl_buffer_destroy(void *mem);
clattn_status cla_cl_buffer_write(clattn_ctx *ctx, void *mem, size_t offset, const void *src,
                                  size_t bytes);
clattn_status cla_cl_buffer_read(clattn_ctx *ctx, void *mem, size_t offset, void *dst,
                                 size_t bytes);

/* Copies src first, and does not wait. */
clattn_status cla_cl_buffer_write_later(clattn_ctx *ctx, void *mem, size_t offset, const void *src,
                                        size_t bytes);
clattn_status cla_cl_buffer_copy(clattn_ctx *ctx, void *src, size_t from, void *dst, size_t to,
                                 size_t bytes);

/* One kernel ready to be enqueued: a cl_kernel of its own and its geometry. */
typedef struct cla_launch {
    const cla_kernel *kernel;
    void *handle;
    cla_geometry geometry;
} cla_launch;

/* What an enqueue waits for and the event it leaves; zeros: nothing. cl_event handles. */
typedef struct cla_events {
    unsigned num_wait;
    const void *wait;
    void *out;
    bool never_block; /* the enqueue form: host tensors are refused */
} cla_events;

/*
 * Compiles the kernel for this problem and configuration (or finds it compiled) and makes a
 * launch. tuned is the configuration of the main kernel; helpers have no tunables.
 */
clattn_status cla_cl_launch_make(clattn_ctx *ctx, const cla_kernel *kernel, const void *problem,
                                 const int *t, cla_launch *out);
void cla_cl_launch_free(cla_launch *launch);

/* Before work that must not overtake the work queued so far: on an out-of-order queue, waits. */
clattn_status cla_cl_settle(clattn_ctx *ctx);

/*
 * Sets the arguments of all launches from the problem, then enqueues them in order. Nothing is
 * enqueued when an argument is refused. any_mem stands in for absent tensors.
 */
clattn_status cla_cl_launch_run(clattn_ctx *ctx, const cla_launch *launches, int count,
                                const void *problem, void *any_mem, const cla_events *events);

#endif
