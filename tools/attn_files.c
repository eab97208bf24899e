/* SPDX-License-Identifier: Apache-2.0 */
/* Attention from .npy files to .npy files: all of it that comes after the options. */
#include "attn_files.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "measure.h"

enum { NUM_INPUTS = 7, NUM_RESULTS = 4 };

static int announce_outputs(struct attn_files *a)
{
    const char *outputs[] = { a->o, a->lse, a->probs, a->index };
    const char *inputs[] = { a->q, a->k, a->v, a->mask, a->bias, a->alibi, a->sinks };
    int code = EXIT_OK;

    for (int i = 0; i < NUM_RESULTS && code == EXIT_OK; i++)
        code = outputs[i] ? outputs_add(&a->files, outputs[i]) : EXIT_OK;
    for (int i = 0; i < NUM_INPUTS && code == EXIT_OK; i++)
        code = inputs[i] ? outputs_keep(&a->files, inputs[i]) : EXIT_OK;
    return code;
}

static int load_optional(struct array *out, const char *path, clattn_dtype dtype, int rank)
{
    if (!path)
        return EXIT_OK;
    const int code = array_load(out, path, dtype);
    if (code == EXIT_OK)
        array_raise(out, rank);
    return code;
}

static int load_inputs(struct attn_files *a)
{
    const char *paths[] = { a->q, a->k, a->v };
    struct attn_job *job = &a->job;
    struct array *qkv[] = { &job->q, &job->k, &job->v };
    int code;

    for (int i = 0; i < 3; i++) {
        if ((code = array_load(qkv[i], paths[i], CLATTN_F32)) != EXIT_OK)
            return code;
    }
    a->rank = job->q.rank;
    for (int i = 0; i < 3; i++) {
        if (qkv[i]->rank < 2 || qkv[i]->rank > 4 || qkv[i]->rank != a->rank)
            return fail(EXIT_INPUT,
                        "%s is %s, %s is %s: need [B][H][N][D], [H][N][D] or [N][D] for all three",
                        a->q, shape_text(a->rank, job->q.shape), paths[i],
                        shape_text(qkv[i]->rank, qkv[i]->shape));
    }
    for (int i = 0; i < 3; i++)
        array_raise(qkv[i], 4);
    if ((code = load_optional(&job->mask, a->mask, CLATTN_U8, 4)) != EXIT_OK
        || (code = load_optional(&job->bias, a->bias, CLATTN_F32, 4)) != EXIT_OK
        || (code = load_optional(&job->alibi, a->alibi, CLATTN_F32, 1)) != EXIT_OK
        || (code = load_optional(&job->sinks, a->sinks, CLATTN_F32, 1)) != EXIT_OK)
        return code;
    return attn_job_sizes(job);
}

/* Takes off the leading axes that q did not have. */
static void lower(struct array *array, int axes)
{
    array->rank -= axes;
    memmove(array->shape, array->shape + axes, sizeof array->shape[0] * (size_t)array->rank);
}

static int write_outputs(struct attn_files *a)
{
    struct attn_results *r = &a->results;
    const struct array *arrays[MAX_OUTPUTS];
    struct array *all[] = { &r->o, &r->lse, &r->probs, &r->index };
    int n = 0;

    for (int i = 0; i < NUM_RESULTS; i++) {
        if (all[i]->dtype == CLATTN_NONE)
            continue;
        lower(all[i], 4 - a->rank);
        arrays[n++] = all[i];
    }
    return outputs_write(&a->files, arrays);
}

/* The first run may still have compiled or touched memory for the first time. */
static int run_twice(struct attn_files *a, struct attn_device *d, struct performance *p)
{
    int code = session_peaks(d->session, &p->peaks);

    if (code == EXIT_OK)
        code = attn_device_run(d);
    const double start = now_us();
    if (code == EXIT_OK)
        code = attn_device_run(d);
    const double us = now_us() - start;
    p->timing = (struct timing){ us, us, 1 };
    if (code == EXIT_OK)
        code = attn_device_read(d, &a->results);
    if (code == EXIT_OK)
        code = session_peaks(d->session, &p->peaks);
    return code;
}

static int compute(struct attn_files *a, struct session *s)
{
    const struct attn_job *job = &a->job;
    const struct attn_wanted wanted = { a->lse, a->probs, a->index };
    struct attn_device d = { 0 };
    char shape[160], flags[160];
    int code = attn_results_new(job, &wanted, &a->results);

    snprintf(shape, sizeof shape, "%lld,%lld,%lld,%lld,%lld,%lld,%lld", (long long)job->B,
             (long long)job->Hq, (long long)job->Hk, (long long)job->Nq, (long long)job->Nk,
             (long long)job->D, (long long)job->Dv);
    attn_options_text(&job->options, flags, sizeof flags);
    struct performance p = { .op = job->argmax ? "argmax" : "attention",
                             .shape = shape,
                             .flags = flags,
                             .dtype = a->common.dtype,
                             .device = s->device->name };
    if (code == EXIT_OK)
        code = attn_device_open(&d, s, job, a->common.dtype, a->common.kernel, &a->results);
    if (code == EXIT_OK)
        code = run_twice(a, &d, &p);
    if (code == EXIT_OK)
        code = write_outputs(a);
    if (code == EXIT_OK) {
        p.info = d.info;
        p.output_bytes = d.output_bytes;
        performance_print(&p, a->common.json);
    }
    attn_device_close(&d);
    return code;
}

int attn_files_run(struct attn_files *a)
{
    struct session session;
    int code = announce_outputs(a);

    if (code == EXIT_OK)
        code = load_inputs(a);
    if (code == EXIT_OK)
        code = session_open(&session, &a->common);
    if (code == EXIT_OK) {
        code = compute(a, &session);
        session_close(&session);
    }
    outputs_free(&a->files);
    attn_results_free(&a->results);
    attn_job_free(&a->job);
    return code;
}
