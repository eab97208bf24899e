/* SPDX-License-Identifier: Apache-2.0 */
/* clattn project: a linear layer from .npy files to a .npy file. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "measure.h"
#include "output.h"
#include "proj_job.h"

static const struct usage usage = {
    .synopsis = "project X.npy W.npy -o Y.npy [options]",
    .text = "Projection: y = x W^T + b. X is [rows][M] or [B][N][M] and W is [out][M], float32,\n"
            "float16 or float64; Y is float32. With --weights i8 or i4 the weights are quantised\n"
            "first: one scale per output, or per 32 weights. Prints the device, the kernel, the\n"
            "time of a second run, and how that compares with the floor that the device sets.\n",
    .after = "example:\n  clattn project x.npy w.npy --bias b.npy -o y.npy --dtype f16\n",
};

struct project {
    struct common common;
    const char *x, *w, *b, *residual, *y;
    struct proj_job job;
    struct array result;
    struct outputs files;
};

static int load(struct project *a)
{
    const char *paths[] = { a->x, a->w, a->b, a->residual };
    struct array *arrays[] = { &a->job.x, &a->job.w, &a->job.b, &a->job.residual };
    int code = outputs_add(&a->files, a->y);

    for (int i = 0; i < 4 && code == EXIT_OK; i++)
        code = paths[i] ? outputs_keep(&a->files, paths[i]) : EXIT_OK;
    for (int i = 0; i < 4 && code == EXIT_OK; i++)
        code = paths[i] ? array_load(arrays[i], paths[i], CLATTN_F32) : EXIT_OK;
    return code == EXIT_OK ? proj_job_result(&a->job, &a->result) : code;
}

/* The first run may still have compiled or touched memory for the first time. */
static int run_twice(struct proj_device *d, struct performance *p)
{
    int code = session_peaks(d->session, &p->peaks);

    if (code == EXIT_OK)
        code = proj_device_run(d);
    const double start = now_us();
    if (code == EXIT_OK)
        code = proj_device_run(d);
    const double us = now_us() - start;
    p->timing = (struct timing){ us, us, 1 };
    return code == EXIT_OK ? session_peaks(d->session, &p->peaks) : code;
}

static int compute(struct project *a, struct session *s)
{
    const struct array *w = &a->job.w;
    const struct array *arrays[] = { &a->result };
    struct proj_device d = { 0 };
    char shape[80], flags[160];
    const long long out = w->shape[0], in = w->shape[1];

    snprintf(shape, sizeof shape, "%lld,%lld,%lld", out > 0 ? (long long)a->result.count / out : 0,
             out, in);
    proj_options_text(&a->job.options, flags, sizeof flags);
    struct performance p = { .op = "project",
                             .shape = shape,
                             .flags = flags,
                             .dtype = a->common.dtype,
                             .device = s->device->name };
    int code = proj_device_open(&d, s, &a->job, a->common.dtype, a->common.kernel, &a->result);
    if (code == EXIT_OK)
        code = run_twice(&d, &p);
    if (code == EXIT_OK)
        code = proj_device_read(&d, &a->result);
    if (code == EXIT_OK)
        code = outputs_write(&a->files, arrays);
    if (code == EXIT_OK) {
        p.info = d.info;
        p.output_bytes = d.output_bytes;
        performance_print(&p, a->common.json);
    }
    proj_device_close(&d);
    return code;
}

static int run_files(struct project *a)
{
    struct session session;
    int code = load(a);

    if (code == EXIT_OK)
        code = session_open(&session, &a->common);
    if (code == EXIT_OK) {
        code = compute(a, &session);
        session_close(&session);
    }
    outputs_free(&a->files);
    array_free(&a->result);
    proj_job_free(&a->job);
    return code;
}

static int run(int argc, char **argv)
{
    struct project a = { .common.dtype = CLATTN_F32 };
    const struct option_spec own[] = {
        { "output", 'o', "Y.npy", "where the result goes, float32", parse_text, &a.y },
        { "bias", 0, "B.npy", "[out], added to each row", parse_text, &a.b },
        { "residual", 0, "R.npy", "shape of Y, added last", parse_text, &a.residual },
        OPTION_DTYPE(a.common),
        OPTION_DEVICE(a.common),
        OPTION_KERNEL(a.common),
        OPTION_JSON(a.common),
        OPTION_VERBOSE(a.common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];
    int first, code;

    proj_options_specs(&a.job.options, specs);
    memcpy(specs + PROJ_NUM_OPTIONS, own, sizeof own);
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc - first != 2)
        return usage_error(&usage, "project needs X.npy and W.npy");
    if (!a.y)
        return usage_error(&usage, "project needs -o Y.npy");
    a.x = argv[first];
    a.w = argv[first + 1];
    return run_files(&a);
}

const struct command cmd_project = { "project", "linear layer of .npy files", run };
