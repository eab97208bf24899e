/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a problem of softmax or argmax attention from host tensors to results. */
#include "attn_job.h"

#include <stdlib.h>
#include <string.h>

#include "cli.h"

int attn_job_sizes(struct attn_job *job)
{
    const struct array *qkv[] = { &job->q, &job->k, &job->v };
    static const char names[] = "qkv";
    const int rank = job->ragged ? 3 : 4;

    for (int i = 0; i < 3; i++) {
        if (qkv[i]->rank != rank)
            return fail(EXIT_INPUT, "%c is %s, need %s", names[i],
                        shape_text(qkv[i]->rank, qkv[i]->shape),
                        job->ragged ? "[T][H][D]" : "[B][H][N][D]");
    }
    const int heads = 1, rows = job->ragged ? 0 : 2, width = rank - 1;
    job->B = job->ragged ? (int64_t)job->cu_q.count - 1 : job->q.shape[0];
    job->Hq = job->q.shape[heads];
    job->Hk = job->k.shape[heads];
    job->Nq = job->q.shape[rows];
    job->Nk = job->k.shape[rows];
    job->D = job->q.shape[width];
    job->Dv = job->v.shape[width];
    return EXIT_OK;
}

void attn_job_free(struct attn_job *job)
{
    struct array *all[] = { &job->q,     &job->k,     &job->v,    &job->mask, &job->bias,
                            &job->alibi, &job->sinks, &job->cu_q, &job->cu_k };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        array_free(all[i]);
}

int attn_results_new(const struct attn_job *job, const struct attn_wanted *wanted,
                     struct attn_results *out)
{
    const int64_t B = job->B, Hq = job->Hq, Nq = job->Nq;
    const int64_t o[] = { B, Hq, Nq, job->Dv }, ragged_o[] = { Nq, Hq, job->Dv };
    const int64_t rows[] = { B, Hq, Nq }, pairs[] = { B, Hq, Nq, job->Nk };
    int code;

    *out = (struct attn_results){ 0 };
    code = job->ragged ? array_new(&out->o, CLATTN_F32, 3, ragged_o)
                       : array_new(&out->o, CLATTN_F32, 4, o);
    if (code == EXIT_OK && wanted->lse)
        code = job->ragged ? array_new(&out->lse, CLATTN_F32, 2, rows + 1)
                           : array_new(&out->lse, CLATTN_F32, 3, rows);
    if (code == EXIT_OK && wanted->index)
        code = job->ragged ? array_new(&out->index, CLATTN_I32, 2, rows + 1)
                           : array_new(&out->index, CLATTN_I32, 3, rows);
    if (code == EXIT_OK && wanted->probs)
        code = array_new(&out->probs, CLATTN_F32, 4, pairs);
    if (code != EXIT_OK)
        attn_results_free(out);
    return code;
}

void attn_results_free(struct attn_results *results)
{
    array_free(&results->o);
    array_free(&results->lse);
    array_free(&results->probs);
    array_free(&results->index);
}

/* ------------------------------------------------------------------------------------------ */
/* Device                                                                                     */

/* Device memory and a view of it; an absent array gives an absent tensor. */
static int make_tensor(struct attn_device *d, const struct array *a, clattn_dtype dtype,
                       clattn_buffer **buffer, clattn_tensor *tensor)
{
    if (a->dtype == CLATTN_NONE)
        return EXIT_OK;
    const int code = session_buffer(d->session, dtype, a->count, buffer);
    if (code == EXIT_OK)
        *tensor = clattn_tensor_of_buffer(*buffer, dtype, a->rank, a->shape);
    return code;
}

static int upload(struct attn_device *d, const char *name, const struct array *a,
                  clattn_dtype dtype, clattn_buffer **buffer, clattn_tensor *tensor)
{
    int code = make_tensor(d, a, dtype, buffer, tensor);

    if (code != EXIT_OK || a->count == 0)
        return code;
    const size_t bytes = a->count * clattn_dtype_size(dtype);
    void *stored = malloc(bytes);
    if (!stored)
        return fail(EXIT_INPUT, "out of memory for %zu bytes of %s", bytes, name);
    const size_t lost = array_store(a, dtype, stored);
    if (lost > 0)
        say("warning: %zu values of %s are beyond the range of %s and become infinite", lost, name,
            clattn_dtype_name(dtype));
    const clattn_status status = clattn_buffer_write(*buffer, 0, stored, bytes);
    free(stored);
    return status == CLATTN_OK ? EXIT_OK : session_fail(d->session, status);
}

/* All bits set is NaN in every dtype: an element that is never written cannot pass for a result. */
static int make_output(struct attn_device *d, const struct array *a, clattn_dtype dtype,
                       clattn_buffer **buffer, clattn_tensor *tensor)
{
    int code = make_tensor(d, a, dtype, buffer, tensor);

    if (code != EXIT_OK || a->count == 0)
        return code;
    const size_t bytes = a->count * clattn_dtype_size(dtype);
    void *poison = malloc(bytes);
    if (!poison)
        return fail(EXIT_INPUT, "out of memory for %zu bytes of results", bytes);
    memset(poison, 0xff, bytes);
    d->output_bytes += (double)bytes;
    const clattn_status status = clattn_buffer_write(*buffer, 0, poison, bytes);
    free(poison);
    return status == CLATTN_OK ? EXIT_OK : session_fail(d->session, status);
}

static int make_tensors(struct attn_device *d, const struct attn_job *job,
                        const struct attn_results *results, struct clattn_attention_params *p)
{
    const clattn_dtype t = d->dtype;
    int code;

    if ((code = upload(d, "q", &job->q, t, &d->q, &p->q)) != EXIT_OK
        || (code = upload(d, "k", &job->k, t, &d->k, &p->k)) != EXIT_OK
        || (code = upload(d, "v", &job->v, t, &d->v, &p->v)) != EXIT_OK
        || (code = upload(d, "mask", &job->mask, CLATTN_U8, &d->mask, &p->mask)) != EXIT_OK
        || (code = upload(d, "bias", &job->bias, t, &d->bias, &p->bias)) != EXIT_OK
        || (code = upload(d, "alibi", &job->alibi, CLATTN_F32, &d->alibi, &p->alibi)) != EXIT_OK
        || (code = upload(d, "sinks", &job->sinks, CLATTN_F32, &d->sinks, &p->sinks)) != EXIT_OK
        || (code = make_output(d, &results->o, t, &d->o, &p->o)) != EXIT_OK
        || (code = make_output(d, &results->lse, CLATTN_F32, &d->lse, &p->lse)) != EXIT_OK)
        return code;
    return make_output(d, &results->probs, CLATTN_F32, &d->probs, &p->probs);
}

/* The tensors and options that argmax attention shares, and the index. */
static clattn_status plan_argmax(struct attn_device *d, const struct clattn_attention_params *p,
                                 clattn_tensor index)
{
    return clattn_plan_argmax(
        d->session->ctx,
        clattn_argmax_params(.q = p->q, .k = p->k, .v = p->v, .o = p->o, .index = index,
                             .mask = p->mask, .causal = p->causal, .window = p->window,
                             .window_left = p->window_left, .window_right = p->window_right,
                             .cu_seqlens_q = p->cu_seqlens_q, .cu_seqlens_k = p->cu_seqlens_k,
                             .kernel = p->kernel),
        &d->plan);
}

int attn_device_open(struct attn_device *d, struct session *s, const struct attn_job *job,
                     clattn_dtype dtype, const char *kernel, const struct attn_results *results)
{
    const struct attn_options *o = &job->options;
    clattn_tensor index = { .dtype = CLATTN_NONE };

    *d = (struct attn_device){ .session = s, .dtype = dtype };
    struct clattn_attention_params *p =
        clattn_attention_params(.scale = o->scale, .softcap = o->softcap, .causal = o->causal,
                                .window = o->window, .window_left = o->left,
                                .window_right = o->right, .kernel = kernel);
    /* Host tensors: the library checks what stands in them, which it cannot do on a device. */
    if (job->ragged) {
        p->cu_seqlens_q =
            clattn_tensor_of_host(job->cu_q.data, CLATTN_I32, job->cu_q.rank, job->cu_q.shape);
        p->cu_seqlens_k =
            clattn_tensor_of_host(job->cu_k.data, CLATTN_I32, job->cu_k.rank, job->cu_k.shape);
    }
    int code = make_tensors(d, job, results, p);
    if (code == EXIT_OK)
        code = make_output(d, &results->index, CLATTN_I32, &d->index, &index);
    if (code != EXIT_OK)
        return code;
    clattn_status status = job->argmax ? plan_argmax(d, p, index)
                                       : clattn_plan_attention(s->ctx, p, &d->plan);
    if (status == CLATTN_OK)
        status = clattn_plan_describe(d->plan, &d->info);
    return status == CLATTN_OK ? EXIT_OK : session_fail(s, status);
}

int attn_device_run(struct attn_device *d)
{
    clattn_status status = clattn_plan_run(d->plan);

    if (status == CLATTN_OK)
        status = clattn_finish(d->session->ctx);
    return status == CLATTN_OK ? EXIT_OK : session_fail(d->session, status);
}

static int download(struct attn_device *d, clattn_buffer *buffer, clattn_dtype dtype,
                    struct array *out)
{
    if (!buffer || out->count == 0)
        return EXIT_OK;
    const size_t bytes = out->count * clattn_dtype_size(dtype);
    void *stored = malloc(bytes);
    if (!stored)
        return fail(EXIT_INPUT, "out of memory for %zu bytes of results", bytes);
    const clattn_status status = clattn_buffer_read(buffer, 0, stored, bytes);
    if (status == CLATTN_OK && dtype == out->dtype)
        memcpy(out->data, stored, bytes);
    else if (status == CLATTN_OK)
        clattn_to_f32(dtype, stored, out->data, out->count);
    free(stored);
    return status == CLATTN_OK ? EXIT_OK : session_fail(d->session, status);
}

int attn_device_read(struct attn_device *d, struct attn_results *results)
{
    int code = download(d, d->o, d->dtype, &results->o);

    if (code == EXIT_OK)
        code = download(d, d->lse, CLATTN_F32, &results->lse);
    if (code == EXIT_OK)
        code = download(d, d->probs, CLATTN_F32, &results->probs);
    if (code == EXIT_OK)
        code = download(d, d->index, CLATTN_I32, &results->index);
    return code;
}

void attn_device_close(struct attn_device *d)
{
    clattn_buffer **all[] = { &d->q,    &d->k,     &d->v,    &d->o,     &d->lse,
                              &d->mask, &d->probs, &d->bias, &d->alibi, &d->sinks,
                              &d->index };

    clattn_plan_destroy(&d->plan);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        clattn_buffer_destroy(all[i]);
}
