/* SPDX-License-Identifier: Apache-2.0 */
/* clattn project: a linear layer from .npy files to a .npy file. */
#include <stdio.h>

#include "cli.h"
#include "files.h"
#include "proj_job.h"

static const struct usage usage = {
    .synopsis = "project X.npy W.npy -o Y.npy [options]",
    .text = "Projection: y = x W^T + b. X is [rows][M] or [B][N][M] and W is [out][M], float32,\n"
            "float16 or float64; Y is float32. With --weights i8 or i4 the weights are quantised\n"
            "first: one scale per output, or per 32 weights. Prints the device, the kernel, the\n"
            "time of a second run, and how that compares with the floor that the device sets.\n",
    .after = "example:\n  clattn project x.npy w.npy --bias b.npy -o y.npy --dtype f16\n",
};

enum { X, W, BIAS, RESIDUAL };

struct project {
    struct proj_job job;
    struct array y;
};

static int prepare(struct file_job *f)
{
    struct project *a = f->state;
    const int code = proj_job_result(&a->job, &a->y);

    if (code != EXIT_OK)
        return code;
    const int64_t out = a->job.w.shape[0], in = a->job.w.shape[1];
    snprintf(f->shape, sizeof f->shape, "%lld,%lld,%lld",
             out > 0 ? (long long)a->y.count / (long long)out : 0, (long long)out, (long long)in);
    proj_options_text(&a->job.options, f->flags, sizeof f->flags);
    return code;
}

static int open(struct file_job *f, struct work *w, struct session *s)
{
    struct project *a = f->state;

    return proj_job_open(w, s, &a->job, f->common.dtype, f->common.kernel, &a->y);
}

static int run(int argc, char **argv)
{
    struct project a = { .y = { 0 } };
    struct proj_job *job = &a.job;
    struct file_job f = {
        .op = "project",
        .arguments = 2,
        .needs = "X.npy and W.npy",
        .makes = "Y.npy",
        .in = {
            [X] = { .array = &job->x, .dtype = CLATTN_F32 },
            [W] = { .array = &job->w, .dtype = CLATTN_F32 },
            [BIAS] = { .array = &job->b, .dtype = CLATTN_F32 },
            [RESIDUAL] = { .array = &job->residual, .dtype = CLATTN_F32 },
        },
        .out = { { .array = &a.y } },
        .common.dtype = CLATTN_F32,
        .prepare = prepare,
        .open = open,
        .state = &a,
    };
    const struct option_spec own[] = {
        { "output", 'o', "Y.npy", "where the result goes, float32", parse_text, &f.out[0].path },
        { "bias", 0, "B.npy", "[out], added to each row", parse_text, &f.in[BIAS].path },
        { "residual", 0, "R.npy", "shape of Y, added last", parse_text, &f.in[RESIDUAL].path },
        OPTIONS_OF_RUN(f.common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];

    proj_options_specs(&job->options, specs);
    options_append(specs, PROJ_NUM_OPTIONS, own);
    const int code = files_main(&f, &usage, specs, argc, argv);
    array_free(&a.y);
    proj_job_free(job);
    return code;
}

const struct command cmd_project = { "project", "linear layer of .npy files", run };
