/* SPDX-License-Identifier: Apache-2.0 */
/* clattn/opencl.h: the caller's context, queue and buffers, wait lists and events. */
#include <clattn/opencl.h>
#include <stdlib.h>
#include <string.h>

#include "attention_case.h"
#include "compare.h"
#include "suite.h"

static const attn_spec spec = { .name = "interop", .B = 1, .Hq = 4, .Hk = 2, .Nq = 21, .Nk = 70,
                                .D = 32, .Dv = 32, .lse = true };

/* OpenCL objects of our own, on the device under test. */
static cl_context context, other_context;
static cl_command_queue in_order, out_of_order, other_queue;

static cl_command_queue make_queue(cl_context c, cl_device_id device,
                                   cl_command_queue_properties properties)
{
    cl_int e;
    cl_command_queue q = clCreateCommandQueue(c, device, properties, &e);
    return e == CL_SUCCESS ? q : NULL;
}

static void open_objects(void)
{
    cl_device_id device;
    cl_command_queue queue = clattn_ctx_opencl_queue(suite_ctx());
    cl_int e;

    ck_assert_ptr_nonnull(queue);
    ck_assert_int_eq(
        clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof(cl_device_id), &device, NULL), 0);
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &e);
    ck_assert_int_eq(e, CL_SUCCESS);
    other_context = clCreateContext(NULL, 1, &device, NULL, NULL, &e);
    ck_assert_int_eq(e, CL_SUCCESS);
    in_order = make_queue(context, device, 0);
    other_queue = make_queue(other_context, device, 0);
    out_of_order = make_queue(context, device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
    ck_assert(in_order && other_queue); /* not every device has out-of-order queues */
}

static void close_objects(void)
{
    clReleaseCommandQueue(in_order);
    clReleaseCommandQueue(other_queue);
    if (out_of_order)
        clReleaseCommandQueue(out_of_order);
    clReleaseContext(context);
    clReleaseContext(other_context);
}

static clattn_ctx *wrap(cl_command_queue queue)
{
    clattn_ctx *ctx;
    ck_assert_int_eq(clattn_ctx_wrap_opencl(context, queue, NULL, &ctx), CLATTN_OK);
    ck_assert_ptr_eq(clattn_ctx_opencl_queue(ctx), queue);
    return ctx;
}

/* Memory of ours in place of the run's q; the handle of ours is released at once. */
static clattn_buffer *wrapped_q(clattn_ctx *ctx, attn_run *run)
{
    cl_int e;
    clattn_buffer *buffer;
    cl_mem mem = clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, run->q.size,
                                run->q.bytes, &e);

    ck_assert_int_eq(e, CL_SUCCESS);
    OK(ctx, clattn_buffer_wrap_opencl(ctx, mem, &buffer));
    clReleaseMemObject(mem);
    ck_assert_ptr_eq(clattn_buffer_opencl(buffer), mem);
    ck_assert_uint_eq(clattn_buffer_size(buffer), run->q.size);
    run->params.q.buffer = buffer;
    return buffer;
}

START_TEST(wrapped_objects)
{
    clattn_ctx *ctx = wrap(in_order);
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;

    attn_run_make(&run, ctx, data);
    clattn_buffer *q = wrapped_q(ctx, &run);
    OK(ctx, clattn_attention(ctx, &run.params));
    compare_label("wrapped");
    attn_run_check(&run);
    clattn_buffer_destroy(&q);
    attn_run_free(&run);
    clattn_ctx_destroy(&ctx);
    attn_data_free(data);
}
END_TEST

static cl_int status_of(cl_event event)
{
    cl_int status = CL_COMPLETE;
    ck_assert_int_eq(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status,
                                    &status, NULL), CL_SUCCESS);
    return status;
}

/* Nothing runs before the wait list, and enqueuing does not block. */
static void check_gate(cl_command_queue queue)
{
    clattn_ctx *ctx = wrap(queue);
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;
    clattn_plan *plan;
    cl_event done = NULL;
    cl_int e;

    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    cl_event gate = clCreateUserEvent(context, &e);
    ck_assert_int_eq(e, CL_SUCCESS);
    OK(ctx, clattn_plan_enqueue(plan, 1, &gate, &done));
    ck_assert_ptr_nonnull(done);
    clFlush(queue);
    ck_assert_int_gt(status_of(done), CL_COMPLETE);
    ck_assert_int_eq(clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
    ck_assert_int_eq(clWaitForEvents(1, &done), CL_SUCCESS);
    compare_label("behind a user event");
    attn_run_check(&run);
    clReleaseEvent(gate);
    clReleaseEvent(done);
    clattn_plan_destroy(&plan);
    attn_run_free(&run);
    clattn_ctx_destroy(&ctx);
    attn_data_free(data);
}

START_TEST(wait_list)
{
    check_gate(in_order);
}
END_TEST

START_TEST(wait_list_out_of_order)
{
    if (out_of_order)
        check_gate(out_of_order);
}
END_TEST

/* attention, attention, merge of both: ordered by events alone. */
START_TEST(chain_of_events)
{
    clattn_ctx *ctx = wrap(out_of_order ? out_of_order : in_order);
    attn_data *data = attn_data_make(&spec, suite_seed());
    const int64_t half = spec.Nk / 2, rows = (int64_t)spec.B * spec.Hq * spec.Nq;
    const int64_t shape[5] = { 2, spec.B, spec.Hq, spec.Nq, spec.Dv };
    clattn_buffer *parts, *lse_parts;
    clattn_plan *plan, *merge;
    cl_event halves[2], done;
    attn_run run;

    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_buffer_create(ctx, (size_t)(2 * rows * spec.Dv) * sizeof(float), &parts));
    OK(ctx, clattn_buffer_create(ctx, (size_t)(2 * rows) * sizeof(float), &lse_parts));
    OK(ctx, clattn_plan_merge(ctx, clattn_merge_params(
        .o_parts = clattn_tensor_of_buffer(parts, CLATTN_F32, 5, shape),
        .lse_parts = clattn_tensor_of_buffer(lse_parts, CLATTN_F32, 4, shape),
        .o = run.o.tensor, .lse = run.lse.tensor), &merge));
    struct clattn_attention_params p = run.params;
    for (int64_t i = 0; i < 2; i++) {
        p.k = clattn_tensor_slice(run.params.k, 2, i * half, half);
        p.v = clattn_tensor_slice(run.params.v, 2, i * half, half);
        p.o = clattn_tensor_of_buffer(parts, CLATTN_F32, 4, shape + 1);
        p.o.offset = i * rows * spec.Dv;
        p.lse = clattn_tensor_of_buffer(lse_parts, CLATTN_F32, 3, shape + 1);
        p.lse.offset = i * rows;
        if (i == 0)
            OK(ctx, clattn_plan_attention(ctx, &p, &plan));
        /* One plan has one workspace: its second run waits for the first. */
        OK(ctx, clattn_plan_enqueue_attention(plan, &p, (cl_uint)i, i ? &halves[0] : NULL,
                                              &halves[i]));
    }
    OK(ctx, clattn_plan_enqueue_merge(merge, clattn_merge_params(
        .o_parts = clattn_tensor_of_buffer(parts, CLATTN_F32, 5, shape),
        .lse_parts = clattn_tensor_of_buffer(lse_parts, CLATTN_F32, 4, shape),
        .o = run.o.tensor, .lse = run.lse.tensor), 2, halves, &done));
    ck_assert_int_eq(clWaitForEvents(1, &done), CL_SUCCESS);
    compare_label("chain of events");
    attn_run_check(&run);
    clReleaseEvent(halves[0]), clReleaseEvent(halves[1]), clReleaseEvent(done);
    clattn_plan_destroy(&plan);
    clattn_plan_destroy(&merge);
    clattn_buffer_destroy(&parts);
    clattn_buffer_destroy(&lse_parts);
    attn_run_free(&run);
    clattn_ctx_destroy(&ctx);
    attn_data_free(data);
}
END_TEST

/* A plan of nothing gives an event too. */
START_TEST(event_of_nothing)
{
    clattn_ctx *ctx = wrap(in_order);
    attn_spec empty = spec;
    clattn_plan *plan;
    cl_event done = NULL;
    attn_run run;

    empty.Nq = 0;
    attn_data *data = attn_data_make(&empty, suite_seed());
    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_enqueue(plan, 0, NULL, &done));
    ck_assert_ptr_nonnull(done);
    ck_assert_int_eq(clWaitForEvents(1, &done), CL_SUCCESS);
    clReleaseEvent(done);
    OK(ctx, clattn_plan_enqueue(plan, 0, NULL, NULL));
    clattn_plan_destroy(&plan);
    attn_run_free(&run);
    clattn_ctx_destroy(&ctx);
    attn_data_free(data);
}
END_TEST

START_TEST(wrapping_errors)
{
    clattn_ctx *ctx = suite_ctx(), *wrapped;
    clattn_buffer *buffer = NULL;
    cl_int e;
    const struct clattn_ctx_params params = { .struct_size = sizeof params, .device = "opencl" };

    ck_assert_int_eq(clattn_ctx_wrap_opencl(NULL, in_order, NULL, &wrapped), CLATTN_ERR_ARG);
    ck_assert_ptr_null(wrapped);
    ck_assert_int_eq(clattn_ctx_wrap_opencl(context, NULL, NULL, &wrapped), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_ctx_wrap_opencl(context, other_queue, NULL, &wrapped), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_ctx_wrap_opencl(context, in_order, &params, &wrapped), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_ctx_wrap_opencl(context, in_order, NULL, NULL), CLATTN_ERR_ARG);

    cl_mem foreign = clCreateBuffer(other_context, CL_MEM_READ_WRITE, 64, NULL, &e);
    ck_assert_int_eq(e, CL_SUCCESS);
    FAILS(ctx, ERR_ARG, "another", clattn_buffer_wrap_opencl(ctx, foreign, &buffer));
    ck_assert_ptr_null(buffer);
    FAILS(ctx, ERR_ARG, "NULL", clattn_buffer_wrap_opencl(ctx, NULL, &buffer));
    FAILS(ctx, ERR_ARG, "NULL", clattn_buffer_wrap_opencl(ctx, foreign, NULL));
    clReleaseMemObject(foreign);
    ck_assert_ptr_null(clattn_buffer_opencl(NULL));
    ck_assert_ptr_null(clattn_ctx_opencl_queue(NULL));
}
END_TEST

START_TEST(enqueue_errors)
{
    clattn_ctx *ctx = wrap(in_order);
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run, on_host;
    clattn_plan *plan, *host_plan;
    cl_event none = NULL, done = (cl_event)&run;
    cl_int e;
    cl_event foreign = clCreateUserEvent(other_context, &e);

    attn_run_make(&run, ctx, data);
    attn_run_make(&on_host, NULL, data);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_attention(ctx, &on_host.params, &host_plan));
    FAILS(ctx, ERR_ARG, "another", clattn_plan_enqueue(plan, 1, &foreign, &done));
    FAILS(ctx, ERR_ARG, "NULL", clattn_plan_enqueue(plan, 1, &none, NULL));
    FAILS(ctx, ERR_ARG, "1", clattn_plan_enqueue(plan, 1, NULL, NULL));
    FAILS(ctx, ERR_ARG, "host", clattn_plan_enqueue(host_plan, 0, NULL, NULL));
    FAILS(ctx, ERR_ARG, "host",
          clattn_plan_enqueue_attention(plan, &on_host.params, 0, NULL, NULL));
    ck_assert_int_eq(clattn_plan_enqueue(NULL, 0, NULL, NULL), CLATTN_ERR_ARG);
    OK(ctx, clattn_plan_run(plan));
    compare_label("after refused enqueues");
    attn_run_check(&run);
    clSetUserEventStatus(foreign, CL_COMPLETE);
    clReleaseEvent(foreign);
    clattn_plan_destroy(&plan);
    clattn_plan_destroy(&host_plan);
    attn_run_free(&run);
    attn_run_free(&on_host);
    clattn_ctx_destroy(&ctx);
    attn_data_free(data);
}
END_TEST

/* Argmax attention behind an event, on the plan's tensors and on others. */
START_TEST(argmax_events)
{
    attn_spec argmax = spec;
    clattn_ctx *ctx = wrap(in_order);
    clattn_plan *plan;
    attn_run runs[2];
    cl_event done = NULL;
    cl_int e;

    argmax.argmax = true;
    attn_data *data = attn_data_make(&argmax, suite_seed());
    for (int i = 0; i < 2; i++)
        attn_run_make(&runs[i], ctx, data);
    OK(ctx, clattn_plan_argmax(ctx, &runs[0].argmax, &plan));
    cl_event gate = clCreateUserEvent(context, &e);
    ck_assert_int_eq(e, CL_SUCCESS);
    OK(ctx, clattn_plan_enqueue(plan, 1, &gate, NULL));
    OK(ctx, clattn_plan_enqueue_argmax(plan, &runs[1].argmax, 1, &gate, &done));
    ck_assert_ptr_nonnull(done);
    ck_assert_int_gt(status_of(done), CL_COMPLETE);
    ck_assert_int_eq(clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
    ck_assert_int_eq(clWaitForEvents(1, &done), CL_SUCCESS);
    compare_label("argmax behind an event");
    for (int i = 0; i < 2; i++)
        attn_run_check(&runs[i]);
    ck_assert_int_eq(clattn_plan_enqueue_argmax(NULL, &runs[1].argmax, 0, NULL, NULL),
                     CLATTN_ERR_ARG);
    clReleaseEvent(gate);
    clReleaseEvent(done);
    clattn_plan_destroy(&plan);
    for (int i = 0; i < 2; i++)
        attn_run_free(&runs[i]);
    clattn_ctx_destroy(&ctx);
    attn_data_free(data);
}
END_TEST

/* Rows [first, first + n) of the one sequence of a run, which lie in a buffer. */
static void append(clattn_ctx *ctx, clattn_kv *kv, const attn_run *run, int64_t first, int64_t n)
{
    OK(ctx, clattn_kv_append(ctx, clattn_kv_append_params(
        .kv = kv, .k = clattn_tensor_slice(run->k.tensor, 2, first, n),
        .v = clattn_tensor_slice(run->v.tensor, 2, first, n))));
}

/*
 * Attention over a cache sees it as it was when it was enqueued, although it runs after rows have
 * been appended, cut off and appended again.
 */
static void check_cache_order(cl_command_queue queue, bool gated)
{
    static const int lens[] = { 70 };
    attn_spec cached = spec;
    clattn_ctx *ctx = wrap(queue);
    cl_event gate = NULL, done = NULL;
    clattn_plan *plan;
    clattn_kv *kv;
    attn_run run;
    cl_int e;

    cached.kv = CLATTN_F32;
    cached.lens_k = lens;
    attn_data *data = attn_data_make(&cached, suite_seed());
    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_kv_create(ctx, clattn_kv_params(.sequences = 1, .heads = cached.Hk,
                                                   .key_width = cached.D, .capacity = 256,
                                                   .page_rows = 16), &kv));
    append(ctx, kv, &run, 0, 40);
    append(ctx, kv, &run, 40, 30);
    struct clattn_attention_params p = run.params;
    p.k = p.v = (clattn_tensor){ .dtype = CLATTN_NONE };
    p.layout = (clattn_kv_layout){ .lengths = p.k };
    p.max_seqlen_k = 0;
    p.kv = kv;
    OK(ctx, clattn_plan_attention(ctx, &p, &plan));
    if (gated)
        gate = clCreateUserEvent(context, &e);
    OK(ctx, clattn_plan_enqueue_attention(plan, &p, gated, gated ? &gate : NULL, &done));
    append(ctx, kv, &run, 0, 33);
    OK(ctx, clattn_kv_truncate(kv, 0, 20));
    append(ctx, kv, &run, 3, 17);
    if (gated) {
        ck_assert_int_gt(status_of(done), CL_COMPLETE);
        ck_assert_int_eq(clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
        clReleaseEvent(gate);
    }
    ck_assert_int_eq(clWaitForEvents(1, &done), CL_SUCCESS);
    compare_label("cache, %s", gated ? "gated" : "out of order");
    attn_run_check(&run);
    ck_assert_int_eq(clattn_kv_length(kv, 0), 37);
    clReleaseEvent(done);
    clattn_plan_destroy(&plan);
    clattn_kv_destroy(&kv);
    attn_run_free(&run);
    clattn_ctx_destroy(&ctx);
    attn_data_free(data);
}

START_TEST(cache_in_order)
{
    check_cache_order(in_order, true);
    if (out_of_order)
        check_cache_order(out_of_order, false);
}
END_TEST

/* On the native CPU there is nothing to wrap. */
START_TEST(native)
{
    clattn_ctx *ctx;
    clattn_buffer *buffer, *wrapped;
    clattn_plan *plan;
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;
    cl_int e;
    cl_mem mem = clCreateBuffer(context, CL_MEM_READ_WRITE, 64, NULL, &e);

    ck_assert_int_eq(clattn_ctx_create(clattn_ctx_params(.device = "cpu"), &ctx), CLATTN_OK);
    OK(ctx, clattn_buffer_create(ctx, 64, &buffer));
    ck_assert_ptr_null(clattn_buffer_opencl(buffer));
    ck_assert_ptr_null(clattn_ctx_opencl_queue(ctx));
    FAILS(ctx, ERR_UNSUPPORTED, "native", clattn_buffer_wrap_opencl(ctx, mem, &wrapped));
    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    FAILS(ctx, ERR_UNSUPPORTED, "native", clattn_plan_enqueue(plan, 0, NULL, NULL));
    clattn_plan_destroy(&plan);
    attn_run_free(&run);
    clattn_buffer_destroy(&buffer);
    clattn_ctx_destroy(&ctx);
    clReleaseMemObject(mem);
    attn_data_free(data);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("interop");
    TCase *t = tcase_create("interop");

    tcase_add_unchecked_fixture(t, open_objects, close_objects);
    tcase_add_test(t, wrapped_objects);
    tcase_add_test(t, wait_list);
    tcase_add_test(t, wait_list_out_of_order);
    tcase_add_test(t, chain_of_events);
    tcase_add_test(t, event_of_nothing);
    tcase_add_test(t, wrapping_errors);
    tcase_add_test(t, enqueue_errors);
    tcase_add_test(t, argmax_events);
    tcase_add_test(t, cache_in_order);
    tcase_add_test(t, native);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
