/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oneDNN 2: a matrix product. The option "packed" has the weights brought into the layout that
 * oneDNN wants when it is opened, as a program that keeps its weights can.
 */
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

typedef struct contestant {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_memory_t x, w, y;
    dnnl_primitive_t product;
    size_t result_bytes;
} contestant;

void peer_version(char *text)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, PEER_TEXT, "%d.%d.%d", v->major, v->minor, v->patch);
}

/* Runs a primitive on up to three arguments, and waits. */
static dnnl_status_t execute(const contestant *c, dnnl_primitive_t primitive, int n,
                             const dnnl_exec_arg_t *args)
{
    dnnl_status_t status = dnnl_primitive_execute(primitive, c->stream, n, args);
    return status == dnnl_success ? dnnl_stream_wait(c->stream) : status;
}

/* Memory of its own with these numbers in it; in NULL: undefined ones. */
static dnnl_status_t make_memory(const contestant *c, const dnnl_memory_desc_t *desc,
                                 const void *in, dnnl_memory_t *memory)
{
    void *to;
    dnnl_status_t status = dnnl_memory_create(memory, desc, c->engine, DNNL_MEMORY_ALLOCATE);
    if (status == dnnl_success)
        status = dnnl_memory_get_data_handle(*memory, &to);
    if (status == dnnl_success && in)
        memcpy(to, in, dnnl_memory_desc_get_size(desc));
    return status;
}

/* Replaces the weights by the same in another layout. */
static dnnl_status_t rearrange(contestant *c, const dnnl_memory_desc_t *from,
                               const dnnl_memory_desc_t *to)
{
    dnnl_memory_t packed = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_status_t status = make_memory(c, to, NULL, &packed);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&desc, from, c->engine, to, c->engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&reorder, desc);
    if (status == dnnl_success)
        status = execute(c, reorder, 2, (dnnl_exec_arg_t[]){ { DNNL_ARG_FROM, c->w },
                                                             { DNNL_ARG_TO, packed } });
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(desc);
    if (status != dnnl_success) {
        dnnl_memory_destroy(packed);
        return status;
    }
    dnnl_memory_destroy(c->w);
    c->w = packed;
    return status;
}

static dnnl_status_t prepare(contestant *c, const peer_problem *p, int packed)
{
    const dnnl_data_type_t dtype = p->dtype == PEER_F32 ? dnnl_f32 : dnnl_bf16;
    const dnnl_dims_t x_dims = { p->rows, p->inputs }, w_dims = { p->inputs, p->outputs };
    const dnnl_dims_t y_dims = { p->rows, p->outputs };
    dnnl_memory_desc_t x, w, wanted, y;
    dnnl_matmul_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_memory_desc_init_by_tag(&x, 2, x_dims, dtype, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&w, 2, w_dims, dtype, dnnl_ba); /* [outputs][inputs] */
    dnnl_memory_desc_init_by_tag(&wanted, 2, w_dims, dtype, packed ? dnnl_format_tag_any : dnnl_ba);
    dnnl_memory_desc_init_by_tag(&y, 2, y_dims, dtype, dnnl_ab);
    dnnl_status_t status = dnnl_engine_create(&c->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&c->stream, c->engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = dnnl_matmul_desc_init(&op, &x, &wanted, NULL, &y);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&desc, &op, NULL, c->engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&c->product, desc);
    if (status == dnnl_success)
        status = make_memory(c, &x, p->in[0], &c->x);
    if (status == dnnl_success)
        status = make_memory(c, &w, p->in[1], &c->w);
    if (status == dnnl_success)
        status = make_memory(c, &y, NULL, &c->y);
    if (status == dnnl_success && packed)
        status = rearrange(c, &w,
                           dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0));
    dnnl_primitive_desc_destroy(desc);
    return status;
}

void *peer_open(const peer_problem *p, char *text)
{
    if (p->op != PEER_PROJECTION || p->dtype == PEER_F16) {
        snprintf(text, PEER_TEXT, "projections in f32 and bf16 only");
        return NULL;
    }
    contestant *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->result_bytes = peer_bytes(p, 3);
    const dnnl_status_t status = prepare(c, p, strcmp(p->option, "packed") == 0);
    if (status == dnnl_success)
        return c;
    snprintf(text, PEER_TEXT, "oneDNN status %d", (int)status);
    peer_close(c);
    return NULL;
}

int peer_run(void *contestant_)
{
    const contestant *c = contestant_;
    return execute(c, c->product, 3, (dnnl_exec_arg_t[]){ { DNNL_ARG_SRC, c->x },
                                                          { DNNL_ARG_WEIGHTS, c->w },
                                                          { DNNL_ARG_DST, c->y } })
        != dnnl_success;
}

void peer_read(void *contestant_, void *out)
{
    const contestant *c = contestant_;
    void *from;
    if (dnnl_memory_get_data_handle(c->y, &from) == dnnl_success)
        memcpy(out, from, c->result_bytes);
}

void peer_close(void *contestant_)
{
    contestant *c = contestant_;
    dnnl_primitive_destroy(c->product);
    dnnl_memory_destroy(c->x);
    dnnl_memory_destroy(c->w);
    dnnl_memory_destroy(c->y);
    dnnl_stream_destroy(c->stream);
    dnnl_engine_destroy(c->engine);
    free(c);
}
