/* SPDX-License-Identifier: Apache-2.0 */
/* Attention from .npy files to .npy files: what its tensors are. */
#include "attn_files.h"

#include "cli.h"

static int prepare(struct file_job *f)
{
    struct attn_files *a = f->state;
    const char *const paths[] = { f->in[IN_Q].path, f->in[IN_K].path, f->in[IN_V].path };
    const struct attn_wanted wanted = { f->out[OUT_LSE].path, f->out[OUT_PROBS].path,
                                        f->out[OUT_INDEX].path };
    int code = qkv_raise(&a->job.in, paths, &f->lacking);

    if (code == EXIT_OK)
        code = qkv_measure(&a->job.in);
    if (code == EXIT_OK)
        code = attn_results_new(&a->job, &wanted, &a->results);
    qkv_text(&a->job.in.n, f->shape, sizeof f->shape);
    attn_options_text(&a->job.options, f->flags, sizeof f->flags);
    return code;
}

static int open(struct file_job *f, struct work *w, struct session *s)
{
    struct attn_files *a = f->state;

    return attn_job_open(w, s, &a->job, f->common.dtype, f->common.kernel, &a->results);
}

void attn_files_begin(struct attn_files *a, const char *op)
{
    struct attn_job *job = &a->job;
    struct attn_results *r = &a->results;

    *a = (struct attn_files){
        .files = {
            .op = op,
            .arguments = 3,
            .needs = "Q.npy, K.npy and V.npy",
            .makes = "O.npy",
            .in = {
                [IN_Q] = { .array = &job->in.q, .dtype = CLATTN_F32 },
                [IN_K] = { .array = &job->in.k, .dtype = CLATTN_F32 },
                [IN_V] = { .array = &job->in.v, .dtype = CLATTN_F32 },
                [IN_MASK] = { .array = &job->mask, .dtype = CLATTN_U8, .rank = 4 },
                [IN_BIAS] = { .array = &job->bias, .dtype = CLATTN_F32, .rank = 4 },
                [IN_ALIBI] = { .array = &job->alibi, .dtype = CLATTN_F32, .rank = 1 },
                [IN_SINKS] = { .array = &job->sinks, .dtype = CLATTN_F32, .rank = 1 },
            },
            .out = {
                [OUT_O] = { .array = &r->o },
                [OUT_LSE] = { .array = &r->lse },
                [OUT_PROBS] = { .array = &r->probs },
                [OUT_INDEX] = { .array = &r->index },
            },
            .common.dtype = CLATTN_F32,
            .prepare = prepare,
            .open = open,
            .state = a,
        },
    };
}

int attn_files_main(struct attn_files *a, const struct usage *usage,
                    const struct option_spec *specs, int argc, char **argv)
{
    const int code = files_main(&a->files, usage, specs, argc, argv);

    attn_results_free(&a->results);
    attn_job_free(&a->job);
    return code;
}
