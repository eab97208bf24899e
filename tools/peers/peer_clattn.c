/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clattn itself, through its shared library: plans over buffers. The option is the device. All
 * contestants on one device share a context, so that who waits for one of them waits for all.
 */
#include <clattn/clattn.h>
#include <clattn/linear.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

typedef struct device {
    clattn_ctx *ctx;
    int contestants;
    struct device *next;
    char said[PEER_TEXT]; /* last error of its log */
    char selector[];
} device;

static device *devices;

typedef struct contestant {
    device *device;
    clattn_ctx *ctx; /* of the device */
    clattn_buffer *memory[4]; /* inputs, and the result last */
    clattn_plan *plan;
    size_t result_bytes;
} contestant;

void peer_version(char *text)
{
    snprintf(text, PEER_TEXT, "%s", clattn_version());
}

static void log_line(void *text, clattn_log_level level, const char *line)
{
    if (level == CLATTN_LOG_ERROR)
        snprintf(text, PEER_TEXT, "%s", line);
}

int peer_device(const char *selector, char *text, double *gflops, double *gbytes_per_s)
{
    clattn_ctx *ctx;
    if (clattn_ctx_create(clattn_ctx_params(.device = selector, .log = log_line, .log_user = text),
                          &ctx) != CLATTN_OK)
        return 0;
    const clattn_device_info *info = clattn_ctx_device(ctx);
    const bool good = clattn_measure_peaks(ctx, gflops, gbytes_per_s) == CLATTN_OK;
    snprintf(text, PEER_TEXT, "%s, %s %s, %d threads", info->name, info->platform, info->driver,
             info->compute_units);
    clattn_ctx_destroy(&ctx);
    return good;
}

/* NULL: text says why. */
static device *device_get(const char *selector, char *text)
{
    for (device *d = devices; d; d = d->next)
        if (strcmp(d->selector, selector) == 0) {
            d->contestants++;
            return d;
        }
    const size_t length = strlen(selector) + 1;
    device *d = calloc(1, sizeof *d + length);
    if (!d)
        return NULL;
    memcpy(d->selector, selector, length);
    const struct clattn_ctx_params *params =
        clattn_ctx_params(.device = d->selector, .log = log_line, .log_user = d->said);
    if (clattn_ctx_create(params, &d->ctx) != CLATTN_OK) {
        snprintf(text, PEER_TEXT, "%s", d->said);
        free(d);
        return NULL;
    }
    d->contestants = 1;
    d->next = devices;
    devices = d;
    return d;
}

static void device_put(device *d)
{
    device **at = &devices;
    if (--d->contestants > 0)
        return;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    clattn_ctx_destroy(&d->ctx);
    free(d);
}

static clattn_status plan_attention(contestant *c, const peer_problem *p)
{
    const clattn_dtype dtype = (clattn_dtype)p->dtype;
    const int64_t rows[] = { p->batch, p->q_heads, p->queries, p->width };
    const int64_t keys[] = { p->batch, p->kv_heads, p->keys, p->width };
    return clattn_plan_attention(c->ctx, clattn_attention_params(
        .q = clattn_tensor_of_buffer(c->memory[0], dtype, 4, rows),
        .k = clattn_tensor_of_buffer(c->memory[1], dtype, 4, keys),
        .v = clattn_tensor_of_buffer(c->memory[2], dtype, 4, keys),
        .o = clattn_tensor_of_buffer(c->memory[3], dtype, 4, rows),
        .causal = p->causal ? CLATTN_CAUSAL_BOTTOM_RIGHT : CLATTN_CAUSAL_NONE), &c->plan);
}

static clattn_status plan_linear(contestant *c, const peer_problem *p)
{
    const clattn_dtype dtype = (clattn_dtype)p->dtype;
    const int64_t rows[] = { p->batch, p->q_heads, p->queries, p->width };
    const int64_t keys[] = { p->batch, p->kv_heads, p->keys, p->width };
    return clattn_plan_linear_attention(c->ctx, clattn_linear_attention_params(
        .q = clattn_tensor_of_buffer(c->memory[0], dtype, 4, rows),
        .k = clattn_tensor_of_buffer(c->memory[1], dtype, 4, keys),
        .v = clattn_tensor_of_buffer(c->memory[2], dtype, 4, keys),
        .o = clattn_tensor_of_buffer(c->memory[3], dtype, 4, rows), .map = CLATTN_MAP_ELU1,
        .causal = p->causal != 0), &c->plan);
}

static clattn_status plan_projection(contestant *c, const peer_problem *p)
{
    const clattn_dtype dtype = (clattn_dtype)p->dtype;
    return clattn_plan_projection(c->ctx, clattn_projection_params(
        .x = clattn_tensor_of_buffer(c->memory[0], dtype, 2, (int64_t[]){ p->rows, p->inputs }),
        .parts[0] = {
            .w = clattn_tensor_of_buffer(c->memory[1], dtype, 2,
                                         (int64_t[]){ p->outputs, p->inputs }),
            .y = clattn_tensor_of_buffer(c->memory[3], dtype, 2,
                                         (int64_t[]){ p->rows, p->outputs }) }), &c->plan);
}

static clattn_status plan(contestant *c, const peer_problem *p)
{
    return p->op == PEER_ATTENTION ? plan_attention(c, p)
         : p->op == PEER_LINEAR    ? plan_linear(c, p)
                                   : plan_projection(c, p);
}

static clattn_status fill(contestant *c, const peer_problem *p)
{
    clattn_status status = CLATTN_OK;
    for (int i = 0; i < peer_inputs(p) && status == CLATTN_OK; i++) {
        status = clattn_buffer_create(c->ctx, peer_bytes(p, i), &c->memory[i]);
        if (status == CLATTN_OK)
            status = clattn_buffer_write(c->memory[i], 0, p->in[i], peer_bytes(p, i));
    }
    if (status == CLATTN_OK)
        status = clattn_buffer_create(c->ctx, peer_bytes(p, 3), &c->memory[3]);
    return status;
}

void *peer_open(const peer_problem *p, char *text)
{
    contestant *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->result_bytes = peer_bytes(p, 3);
    c->device = device_get(p->option, text);
    if (!c->device) {
        free(c);
        return NULL;
    }
    c->ctx = c->device->ctx;
    if (fill(c, p) == CLATTN_OK && plan(c, p) == CLATTN_OK)
        return c;
    snprintf(text, PEER_TEXT, "%s", clattn_error(c->ctx));
    peer_close(c);
    return NULL;
}

int peer_run(void *contestant_)
{
    contestant *c = contestant_;
    return clattn_plan_run(c->plan) != CLATTN_OK || clattn_finish(c->ctx) != CLATTN_OK;
}

int peer_start(void *contestant_)
{
    return clattn_plan_run(((contestant *)contestant_)->plan) != CLATTN_OK;
}

void peer_read(void *contestant_, void *out)
{
    contestant *c = contestant_;
    clattn_buffer_read(c->memory[3], 0, out, c->result_bytes);
}

void peer_close(void *contestant_)
{
    contestant *c = contestant_;
    clattn_plan_destroy(&c->plan);
    for (int i = 0; i < 4; i++)
        clattn_buffer_destroy(&c->memory[i]);
    device_put(c->device);
    free(c);
}
