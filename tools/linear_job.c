/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a linear attention problem from host tensors to results through the public API. */
#include "linear_job.h"

#include <string.h>

#include "cli.h"
#include "device_array.h"

int linear_job_sizes(struct linear_job *job)
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
    const int rows = job->ragged ? 0 : 2, width = rank - 1;
    job->n = (struct linear_sizes){
        .B = job->ragged ? (int64_t)job->cu_q.count - 1 : job->q.shape[0],
        .Hq = job->q.shape[1],
        .Hk = job->k.shape[1],
        .Nq = job->q.shape[rows],
        .Nk = job->k.shape[rows],
        .D = job->q.shape[width],
        .Dv = job->v.shape[width],
    };
    if (job->options.map == CLATTN_MAP_POLY2 && job->n.D > 16384)
        return fail(EXIT_INPUT, "D is %lld, poly2 takes at most 16384", (long long)job->n.D);
    return EXIT_OK;
}

void linear_job_free(struct linear_job *job)
{
    struct array *all[] = { &job->q,    &job->k,    &job->v,   &job->in_kv,
                            &job->in_z, &job->cu_q, &job->cu_k };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        array_free(all[i]);
}

int linear_results_new(const struct linear_job *job, bool state, struct linear_results *out)
{
    const struct linear_sizes *n = &job->n;
    const int64_t F = linear_features(job->options.map, n->D);
    const int64_t o[] = { n->B, n->Hq, n->Nq, n->Dv }, packed[] = { n->Nq, n->Hq, n->Dv };
    const int64_t kv[] = { n->B, n->Hk, F, n->Dv };
    int code;

    *out = (struct linear_results){ 0 };
    code = job->ragged ? array_new(&out->o, CLATTN_F32, 3, packed)
                       : array_new(&out->o, CLATTN_F32, 4, o);
    if (code == EXIT_OK && state)
        code = array_new(&out->kv, CLATTN_F32, 4, kv);
    if (code == EXIT_OK && state)
        code = array_new(&out->z, CLATTN_F32, 3, kv);
    if (code != EXIT_OK)
        linear_results_free(out);
    return code;
}

void linear_results_free(struct linear_results *results)
{
    array_free(&results->o);
    array_free(&results->kv);
    array_free(&results->z);
}

/* ------------------------------------------------------------------------------------------ */
/* Device                                                                                     */

static int make_output(struct linear_device *d, const struct array *a, clattn_dtype dtype,
                       clattn_buffer **buffer, clattn_tensor *tensor)
{
    if (a->dtype == CLATTN_NONE)
        return EXIT_OK;
    d->output_bytes += (double)a->count * (double)clattn_dtype_size(dtype);
    return device_output(d->session, a, dtype, buffer, tensor);
}

static int make_tensors(struct linear_device *d, const struct linear_job *job,
                        const struct linear_results *r, struct clattn_linear_attention_params *p)
{
    struct session *s = d->session;
    const clattn_dtype t = d->dtype, f32 = CLATTN_F32;
    int code;

    if ((code = device_upload(s, "q", &job->q, t, &d->q, &p->q)) != EXIT_OK
        || (code = device_upload(s, "k", &job->k, t, &d->k, &p->k)) != EXIT_OK
        || (code = device_upload(s, "v", &job->v, t, &d->v, &p->v)) != EXIT_OK
        || (code = device_upload(s, "the state", &job->in_kv, f32, &d->in_kv, &p->state_in_kv))
               != EXIT_OK
        || (code = device_upload(s, "the state", &job->in_z, f32, &d->in_z, &p->state_in_z))
               != EXIT_OK
        || (code = make_output(d, &r->o, t, &d->o, &p->o)) != EXIT_OK
        || (code = make_output(d, &r->kv, f32, &d->out_kv, &p->state_out_kv)) != EXIT_OK)
        return code;
    return make_output(d, &r->z, f32, &d->out_z, &p->state_out_z);
}

int linear_device_open(struct linear_device *d, struct session *s, const struct linear_job *job,
                       clattn_dtype dtype, const char *kernel, const struct linear_results *results)
{
    const struct linear_options *o = &job->options;
    const bool poly2 = o->map == CLATTN_MAP_POLY2;

    *d = (struct linear_device){ .session = s, .dtype = dtype };
    struct clattn_linear_attention_params *p = clattn_linear_attention_params(
        .map = o->map, .c = poly2 ? o->c : 0, .homogeneous = poly2 && o->c == 0, .scale = o->scale,
        .causal = o->causal, .unnormalized = o->unnormalized, .form = o->form, .kernel = kernel);
    /* Host tensors: the library checks what stands in them, which it cannot do on a device. */
    if (job->ragged) {
        p->cu_seqlens_q = clattn_tensor_of_host(job->cu_q.data, CLATTN_I32, job->cu_q.rank,
                                                job->cu_q.shape);
        p->cu_seqlens_k = clattn_tensor_of_host(job->cu_k.data, CLATTN_I32, job->cu_k.rank,
                                                job->cu_k.shape);
    }
    const int code = make_tensors(d, job, results, p);
    if (code != EXIT_OK)
        return code;
    clattn_status status = clattn_plan_linear_attention(s->ctx, p, &d->plan);
    if (status == CLATTN_OK)
        status = clattn_plan_describe(d->plan, &d->info);
    return status == CLATTN_OK ? EXIT_OK : session_fail(s, status);
}

int linear_device_run(struct linear_device *d)
{
    clattn_status status = clattn_plan_run(d->plan);

    if (status == CLATTN_OK)
        status = clattn_finish(d->session->ctx);
    return status == CLATTN_OK ? EXIT_OK : session_fail(d->session, status);
}

int linear_device_read(struct linear_device *d, struct linear_results *r)
{
    int code = device_download(d->session, d->o, d->dtype, &r->o);

    if (code == EXIT_OK && r->kv.dtype != CLATTN_NONE)
        code = device_download(d->session, d->out_kv, CLATTN_F32, &r->kv);
    if (code == EXIT_OK && r->z.dtype != CLATTN_NONE)
        code = device_download(d->session, d->out_z, CLATTN_F32, &r->z);
    return code;
}

void linear_device_close(struct linear_device *d)
{
    clattn_buffer **all[] = { &d->q,     &d->k,    &d->v,      &d->o,
                              &d->in_kv, &d->in_z, &d->out_kv, &d->out_z };

    clattn_plan_destroy(&d->plan);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        clattn_buffer_destroy(all[i]);
}
