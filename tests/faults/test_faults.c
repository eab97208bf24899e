/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every OpenCL call of contexts, operations and plans fails once: test_faults LAYER. What has a
 * state of its own is in test_fault_states.c.
 */
#define _XOPEN_SOURCE 700
#include <clattn/opencl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "fault_operations.h"
#include "fault_walk.h"
#include "plan.h"
#include "suite.h"

static clattn_ctx *ctx; /* of all walks that do not make their own */

/* ---- devices and contexts ---- */

static clattn_status open_and_compute(void *user)
{
    float q[] = { 1, 0, 0, 1 }, k[] = { 4, 0, 0, 4, 2, 2 }, v[] = { 1, 2, 3 }, *o = user;
    clattn_ctx *own;
    const clattn_status s = fault_open(&own);
    if (s != CLATTN_OK)
        return s;
    const clattn_status status = clattn_attention(own, clattn_attention_params(
        .q = clattn_tensor_of_host(q, CLATTN_F32, 4, (int64_t[]){ 1, 1, 2, 2 }),
        .k = clattn_tensor_of_host(k, CLATTN_F32, 4, (int64_t[]){ 1, 1, 3, 2 }),
        .v = clattn_tensor_of_host(v, CLATTN_F32, 4, (int64_t[]){ 1, 1, 3, 1 }),
        .o = clattn_tensor_of_host(o, CLATTN_F32, 4, (int64_t[]){ 1, 1, 2, 1 })));
    clattn_ctx_destroy(&own);
    return status;
}

static void forget_result(void *user)
{
    memset(user, 0, 2 * sizeof(float));
}

static void check_result(void *user, clattn_status status)
{
    const float *o = user;
    if (status != CLATTN_OK)
        return;
    ck_assert_float_eq_tol(o[0], 1.4188f, 1e-4f);
    ck_assert_float_eq_tol(o[1], 2.1413f, 1e-4f);
}

START_TEST(contexts)
{
    float o[2];
    fault_walk_run(&(fault_walk){ .name = "a context and a call", .before = forget_result,
                                  .act = open_and_compute, .check = check_result, .user = o });
}
END_TEST

typedef struct device_list {
    clattn_device_info *list;
    int count;
} device_list;

static clattn_status list_all(void *user)
{
    device_list *d = user;
    return clattn_device_list(&d->list, &d->count);
}

/* The native CPU is always there; what cannot be used says why. */
static void check_devices(void *user, clattn_status status)
{
    device_list *d = user;
    ck_assert_int_eq(status, CLATTN_OK);
    ck_assert(d->count >= 1 && d->list[0].usable);
    for (int i = 1; i < d->count; i++)
        ck_assert_msg(d->list[i].usable || strstr(d->list[i].why_not, "CL_OUT_OF_"),
                      "%s: \"%s\" is not usable because \"%s\"", compare_label_text(),
                      d->list[i].name, d->list[i].why_not);
    clattn_device_list_free(&d->list);
}

START_TEST(devices)
{
    device_list d;
    fault_walk_run(&(fault_walk){ .name = "the list of devices", .act = list_all,
                                  .check = check_devices, .user = &d });
}
END_TEST

/* ---- operations ---- */

typedef struct operation_walk {
    const fault_operation *op;
    bool host; /* tensors in host memory */
    fault_case c;
} operation_walk;

static void make_operation(void *user)
{
    operation_walk *w = user;
    cla_plan_cache_free(&ctx->plans);
    w->op->make(&w->c, w->host ? NULL : ctx, w->op->spec);
}

static clattn_status call_operation(void *user)
{
    operation_walk *w = user;
    return w->op->call(ctx, w->c.params);
}

static clattn_status run_plan(void *user)
{
    operation_walk *w = user;
    clattn_plan *plan;
    clattn_status s = w->op->plan(ctx, w->c.params, &plan);
    if (s == CLATTN_OK)
        s = clattn_plan_run(plan);
    clattn_plan_destroy(&plan);
    return s;
}

/* What the caller's own OpenCL call says. */
static clattn_status caller_status(const char *call, cl_int e)
{
    if (e != CL_SUCCESS)
        fault_log(NULL, CLATTN_LOG_ERROR, call);
    return e == CL_SUCCESS ? CLATTN_OK : CLATTN_ERR_DEVICE;
}

static clattn_status enqueue_plan(void *user)
{
    operation_walk *w = user;
    clattn_plan *plan;
    cl_event event = NULL;
    clattn_status s = w->op->plan(ctx, w->c.params, &plan);
    if (s == CLATTN_OK)
        s = clattn_plan_enqueue(plan, 0, NULL, &event);
    ck_assert_msg(s != CLATTN_OK || event, "%s: there is no event", w->op->name);
    if (s == CLATTN_OK) {
        s = caller_status("clWaitForEvents", clWaitForEvents(1, &event));
        clReleaseEvent(event);
    }
    clattn_plan_destroy(&plan);
    return s;
}

/* After a failure the same call on the same tensors goes well. */
static void check_operation(void *user, clattn_status status)
{
    operation_walk *w = user;
    if (status != CLATTN_OK)
        OK(ctx, w->op->call(ctx, w->c.params));
    w->op->check(&w->c);
}

static void free_operation(void *user)
{
    operation_walk *w = user;
    w->op->free(&w->c);
    cla_plan_cache_free(&ctx->plans);
}

/* The programs are compiled before, and stay: they are not what is walked here. */
static void walk_operation(const char *form, bool host, clattn_status (*act)(void *))
{
    char name[96];
    operation_walk w = { .op = &fault_operations[0], .host = host };
    for (; w.op->name; w.op++) {
        make_operation(&w);
        OK(ctx, call_operation(&w));
        w.op->check(&w.c);
        free_operation(&w);
        snprintf(name, sizeof name, "%s, %s", w.op->name, form);
        fault_walk_run(&(fault_walk){ .name = name, .before = make_operation, .act = act,
                                      .check = check_operation, .after = free_operation,
                                      .user = &w });
    }
}

START_TEST(calls)
{
    walk_operation("one call", false, call_operation);
    walk_operation("on host memory", true, call_operation);
}
END_TEST

START_TEST(plans)
{
    walk_operation("as a plan", false, run_plan);
    walk_operation("enqueued", false, enqueue_plan);
}
END_TEST

/* ---- the caller's own OpenCL objects ---- */

typedef struct wrapped {
    cl_context context;
    cl_command_queue queue;
    cl_mem mem[4]; /* q, k, v, o */
    float o[6];
} wrapped;

static void make_objects(void *user)
{
    wrapped *w = user;
    float ones[6] = { 1, 1, 1, 1, 1, 1 };
    cl_device_id device;
    cl_int e = clGetCommandQueueInfo(clattn_ctx_opencl_queue(ctx), CL_QUEUE_DEVICE, sizeof device,
                                     &device, NULL);
    ck_assert_int_eq(e, CL_SUCCESS);
    w->context = clCreateContext(NULL, 1, &device, NULL, NULL, &e);
    ck_assert_int_eq(e, CL_SUCCESS);
    w->queue = clCreateCommandQueue(w->context, device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &e);
    if (e != CL_SUCCESS)
        w->queue = clCreateCommandQueue(w->context, device, 0, &e);
    ck_assert_int_eq(e, CL_SUCCESS);
    for (int i = 0; i < 4; i++) {
        w->mem[i] = clCreateBuffer(w->context, CL_MEM_COPY_HOST_PTR, sizeof ones, ones, &e);
        ck_assert_int_eq(e, CL_SUCCESS);
    }
}

static clattn_status enqueue_on(clattn_ctx *own, const clattn_tensor *t, cl_event before,
                                cl_event *after)
{
    clattn_plan *plan;
    clattn_status s = clattn_plan_attention(
        own, clattn_attention_params(.q = t[0], .k = t[1], .v = t[2], .o = t[3]), &plan);
    if (s == CLATTN_OK)
        s = clattn_plan_enqueue(plan, 1, &before, after);
    clattn_plan_destroy(&plan);
    return s;
}

static clattn_status use_objects(void *user)
{
    static const int64_t shape[] = { 1, 1, 3, 2 };
    wrapped *w = user;
    clattn_ctx *own;
    clattn_buffer *buffers[4] = { NULL };
    clattn_tensor t[4];
    cl_event before = NULL, after = NULL;
    clattn_status s = clattn_ctx_wrap_opencl(w->context, w->queue,
                                             clattn_ctx_params(.log = fault_log), &own);
    for (int i = 0; i < 4 && s == CLATTN_OK; i++) {
        s = clattn_buffer_wrap_opencl(own, w->mem[i], &buffers[i]);
        t[i] = clattn_tensor_of_buffer(buffers[i], CLATTN_F32, 4, shape);
    }
    if (s == CLATTN_OK)
        s = caller_status("clEnqueueMarkerWithWaitList",
                          clEnqueueMarkerWithWaitList(w->queue, 0, NULL, &before));
    if (s == CLATTN_OK)
        s = enqueue_on(own, t, before, &after);
    if (s == CLATTN_OK)
        s = caller_status("clEnqueueReadBuffer",
                          clEnqueueReadBuffer(w->queue, w->mem[3], CL_TRUE, 0, sizeof w->o, w->o,
                                              1, &after, NULL));
    if (before)
        clReleaseEvent(before);
    if (after)
        clReleaseEvent(after);
    for (int i = 0; i < 4; i++)
        clattn_buffer_destroy(&buffers[i]);
    clattn_ctx_destroy(&own);
    return s;
}

static void check_objects(void *user, clattn_status status)
{
    const wrapped *w = user;
    for (int i = 0; i < 6 && status == CLATTN_OK; i++)
        ck_assert_float_eq_tol(w->o[i], 1, 1e-6f);
}

static void release_objects(void *user)
{
    wrapped *w = user;
    clFinish(w->queue);
    for (int i = 0; i < 4; i++)
        clReleaseMemObject(w->mem[i]);
    clReleaseCommandQueue(w->queue);
    clReleaseContext(w->context);
}

START_TEST(interop)
{
    wrapped w;
    fault_walk_run(&(fault_walk){ .name = "wrapped objects", .before = make_objects,
                                  .act = use_objects, .check = check_objects,
                                  .after = release_objects, .user = &w });
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("faults");
    TCase *t = tcase_create("faults");

    tcase_add_test(t, contexts);
    tcase_add_test(t, devices);
    tcase_add_test(t, calls);
    tcase_add_test(t, plans);
    tcase_add_test(t, interop);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    return fault_main(argc, argv, &ctx, suite);
}
