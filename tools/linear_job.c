/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a linear attention problem from host tensors to results through the public API. */
#include "linear_job.h"

#include "cli.h"

WORK_CALLS(linear_attention);

void linear_job_free(struct linear_job *job)
{
    qkv_free(&job->in);
    array_free(&job->in_kv);
    array_free(&job->in_z);
}

int linear_results_new(const struct linear_job *job, bool state, struct linear_results *out)
{
    const struct qkv_sizes *n = &job->in.n;
    const int64_t kv[] = { n->B, n->Hk, linear_features(job->options.map, n->D), n->Dv };
    int code;

    *out = (struct linear_results){ 0 };
    code = qkv_result(&job->in, &out->o);
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

int linear_job_open(struct work *w, struct session *s, const struct linear_job *job,
                    clattn_dtype dtype, const char *kernel, struct linear_results *r)
{
    const struct linear_options *o = &job->options;
    const bool poly2 = o->map == CLATTN_MAP_POLY2;

    struct clattn_linear_attention_params *p = work_begin(
        w, s, dtype, &linear_attention_calls,
        clattn_linear_attention_params(.map = o->map, .c = poly2 ? o->c : 0,
                                       .homogeneous = poly2 && o->c == 0, .scale = o->scale,
                                       .causal = o->causal, .unnormalized = o->unnormalized,
                                       .form = o->form, .kernel = kernel));

    if (!p)
        return w->code;
    qkv_input(&job->in, w, QKV_VIEWS(p));
    work_input(w, "the state", &job->in_kv, CLATTN_F32, &p->state_in_kv);
    work_input(w, "the state", &job->in_z, CLATTN_F32, &p->state_in_z);
    work_output(w, &r->o, dtype, &p->o);
    work_output(w, &r->kv, CLATTN_F32, &p->state_out_kv);
    work_output(w, &r->z, CLATTN_F32, &p->state_out_z);
    return work_plan(w);
}
