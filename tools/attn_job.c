/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a problem of softmax or argmax attention from host tensors to results. */
#include "attn_job.h"

#include "cli.h"

WORK_CALLS(attention);
WORK_CALLS(argmax);

void attn_job_free(struct attn_job *job)
{
    struct array *all[] = { &job->mask, &job->bias, &job->alibi, &job->sinks };

    qkv_free(&job->in);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        array_free(all[i]);
}

int attn_results_new(const struct attn_job *job, const struct attn_wanted *wanted,
                     struct attn_results *out)
{
    const struct qkv_sizes *n = &job->in.n;
    const int64_t rows[] = { n->B, n->Hq, n->Nq }, pairs[] = { n->B, n->Hq, n->Nq, n->Nk };
    const bool ragged = job->in.ragged; /* rows without B */
    int code;

    *out = (struct attn_results){ 0 };
    code = qkv_result(&job->in, &out->o);
    if (code == EXIT_OK && wanted->lse)
        code = array_new(&out->lse, CLATTN_F32, 3 - ragged, rows + ragged);
    if (code == EXIT_OK && wanted->index)
        code = array_new(&out->index, CLATTN_I32, 3 - ragged, rows + ragged);
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

static int open_attention(struct work *w, struct session *s, const struct attn_job *job,
                          clattn_dtype t, const char *kernel, struct attn_results *r)
{
    const struct attn_options *o = &job->options;

    struct clattn_attention_params *p = work_begin(
        w, s, t, &attention_calls,
        clattn_attention_params(.scale = o->scale, .softcap = o->softcap, .causal = o->causal,
                                .window = o->window, .window_left = o->left,
                                .window_right = o->right, .kernel = kernel));

    if (!p)
        return w->code;
    qkv_input(&job->in, w, QKV_VIEWS(p));
    work_input(w, "mask", &job->mask, CLATTN_U8, &p->mask);
    work_input(w, "bias", &job->bias, t, &p->bias);
    work_input(w, "alibi", &job->alibi, CLATTN_F32, &p->alibi);
    work_input(w, "sinks", &job->sinks, CLATTN_F32, &p->sinks);
    work_output(w, &r->o, t, &p->o);
    work_output(w, &r->lse, CLATTN_F32, &p->lse);
    work_output(w, &r->probs, CLATTN_F32, &p->probs);
    return work_plan(w);
}

static int open_argmax(struct work *w, struct session *s, const struct attn_job *job,
                       clattn_dtype t, const char *kernel, struct attn_results *r)
{
    const struct attn_options *o = &job->options;

    struct clattn_argmax_params *p = work_begin(
        w, s, t, &argmax_calls,
        clattn_argmax_params(.causal = o->causal, .window = o->window, .window_left = o->left,
                             .window_right = o->right, .kernel = kernel));

    if (!p)
        return w->code;
    qkv_input(&job->in, w, QKV_VIEWS(p));
    work_input(w, "mask", &job->mask, CLATTN_U8, &p->mask);
    work_output(w, &r->o, t, &p->o);
    work_output(w, &r->index, CLATTN_I32, &p->index);
    return work_plan(w);
}

int attn_job_open(struct work *w, struct session *s, const struct attn_job *job, clattn_dtype dtype,
                  const char *kernel, struct attn_results *results)
{
    return job->argmax ? open_argmax(w, s, job, dtype, kernel, results)
                       : open_attention(w, s, job, dtype, kernel, results);
}
