/* SPDX-License-Identifier: Apache-2.0 */
/* clattn linear-attention: linear attention from .npy files to .npy files. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "linear_job.h"
#include "measure.h"
#include "output.h"

static const struct usage usage = {
    .synopsis = "linear-attention Q.npy K.npy V.npy -o O.npy [options]",
    .text =
        "Linear attention: o = phi(q) S / phi(q) z, S = sum phi(k) v^T, z = sum phi(k), over all\n"
        "keys or over those up to the row. Q is [B][Hq][Nq][D], K is [B][Hk][Nk][D] and V is\n"
        "[B][Hk][Nk][Dv], float32, float16 or float64; Hq is a multiple of Hk. [H][N][D] and\n"
        "[N][D] will do; O has as many axes as Q and is float32. A state, S [B][Hk][F][Dv] and z\n"
        "[B][Hk][F], goes on where a call before has left off. Prints the device, the kernel, the\n"
        "time of a second run, and how that compares with the floor that the device sets.\n",
    .after = "example:\n"
             "  clattn linear-attention q.npy k.npy v.npy -o o.npy --feature-map poly2 --causal\n",
};

enum { INPUTS = 5, OUTPUTS = 3 };

struct linear {
    struct common common;
    const char *in[INPUTS];   /* q, k, v, state */
    const char *out[OUTPUTS]; /* o, state */
    struct linear_job job;
    struct linear_results results;
    struct outputs files;
    int rank; /* of q, k and v as given */
};

static int announce(struct linear *a)
{
    int code = EXIT_OK;

    for (int i = 0; i < OUTPUTS && code == EXIT_OK; i++)
        code = a->out[i] ? outputs_add(&a->files, a->out[i]) : EXIT_OK;
    for (int i = 0; i < INPUTS && code == EXIT_OK; i++)
        code = a->in[i] ? outputs_keep(&a->files, a->in[i]) : EXIT_OK;
    return code;
}

static int load_inputs(struct linear *a)
{
    struct linear_job *job = &a->job;
    struct array *all[INPUTS] = { &job->q, &job->k, &job->v, &job->in_kv, &job->in_z };

    for (int i = 0; i < INPUTS; i++) {
        const int code = a->in[i] ? array_load(all[i], a->in[i], CLATTN_F32) : EXIT_OK;
        if (code != EXIT_OK)
            return code;
    }
    a->rank = job->q.rank;
    for (int i = 0; i < 3; i++) {
        if (all[i]->rank < 2 || all[i]->rank > 4 || all[i]->rank != a->rank)
            return fail(EXIT_INPUT,
                        "%s is %s, %s is %s: need [B][H][N][D], [H][N][D] or [N][D] for all three",
                        a->in[0], shape_text(a->rank, job->q.shape), a->in[i],
                        shape_text(all[i]->rank, all[i]->shape));
        array_raise(all[i], 4);
    }
    if (a->in[3])
        array_raise(&job->in_kv, 4);
    if (a->in[4])
        array_raise(&job->in_z, 3);
    return linear_job_sizes(job);
}

/* Takes off the leading axes that q did not have. */
static void lower(struct array *array, int axes)
{
    array->rank -= axes;
    memmove(array->shape, array->shape + axes, sizeof array->shape[0] * (size_t)array->rank);
}

static int write_outputs(struct linear *a)
{
    struct linear_results *r = &a->results;
    struct array *all[OUTPUTS] = { &r->o, &r->kv, &r->z };
    const struct array *arrays[MAX_OUTPUTS];
    int n = 0;

    for (int i = 0; i < OUTPUTS; i++) {
        if (!a->out[i])
            continue;
        lower(all[i], 4 - a->rank);
        arrays[n++] = all[i];
    }
    return outputs_write(&a->files, arrays);
}

/* The first run may still have compiled or touched memory for the first time. */
static int run_twice(struct linear *a, struct linear_device *d, struct performance *p)
{
    int code = session_peaks(d->session, &p->peaks);

    if (code == EXIT_OK)
        code = linear_device_run(d);
    const double start = now_us();
    if (code == EXIT_OK)
        code = linear_device_run(d);
    const double us = now_us() - start;
    p->timing = (struct timing){ us, us, 1 };
    if (code == EXIT_OK)
        code = linear_device_read(d, &a->results);
    if (code == EXIT_OK)
        code = session_peaks(d->session, &p->peaks);
    return code;
}

static int compute(struct linear *a, struct session *s)
{
    const struct linear_sizes *n = &a->job.n;
    struct linear_device d = { 0 };
    char shape[160], flags[160];
    int code = linear_results_new(&a->job, a->out[1] || a->out[2], &a->results);

    snprintf(shape, sizeof shape, "%lld,%lld,%lld,%lld,%lld,%lld,%lld", (long long)n->B,
             (long long)n->Hq, (long long)n->Hk, (long long)n->Nq, (long long)n->Nk,
             (long long)n->D, (long long)n->Dv);
    linear_options_text(&a->job.options, flags, sizeof flags);
    struct performance p = { .op = "linear-attention",
                             .shape = shape,
                             .flags = flags,
                             .dtype = a->common.dtype,
                             .device = s->device->name };
    if (code == EXIT_OK)
        code = linear_device_open(&d, s, &a->job, a->common.dtype, a->common.kernel, &a->results);
    if (code == EXIT_OK)
        code = run_twice(a, &d, &p);
    if (code == EXIT_OK)
        code = write_outputs(a);
    if (code == EXIT_OK) {
        p.info = d.info;
        p.output_bytes = d.output_bytes;
        performance_print(&p, a->common.json);
    }
    linear_device_close(&d);
    return code;
}

static int run_files(struct linear *a)
{
    struct session session;
    int code = announce(a);

    if (code == EXIT_OK)
        code = load_inputs(a);
    if (code == EXIT_OK)
        code = session_open(&session, &a->common);
    if (code == EXIT_OK) {
        code = compute(a, &session);
        session_close(&session);
    }
    outputs_free(&a->files);
    linear_results_free(&a->results);
    linear_job_free(&a->job);
    return code;
}

static int run(int argc, char **argv)
{
    struct linear a = { .common.dtype = CLATTN_F32, .job.options = linear_defaults };
    const struct option_spec own[] = {
        { "output", 'o', "O.npy", "where the result goes, float32", parse_text, &a.out[0] },
        { "state-in-kv", 0, "S.npy", "S of the keys before these", parse_text, &a.in[3] },
        { "state-in-z", 0, "Z.npy", "z of the keys before these", parse_text, &a.in[4] },
        { "state-out-kv", 0, "S.npy", "write S after these keys", parse_text, &a.out[1] },
        { "state-out-z", 0, "Z.npy", "write z after these keys", parse_text, &a.out[2] },
        OPTION_DTYPE(a.common),
        OPTION_DEVICE(a.common),
        OPTION_KERNEL(a.common),
        OPTION_JSON(a.common),
        OPTION_VERBOSE(a.common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];
    int first, code;

    linear_options_specs(&a.job.options, specs);
    memcpy(specs + LINEAR_NUM_OPTIONS, own, sizeof own);
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc - first != 3)
        return usage_error(&usage, "linear-attention needs Q.npy, K.npy and V.npy");
    if (!a.out[0])
        return usage_error(&usage, "linear-attention needs -o O.npy");
    for (int i = 0; i < 3; i++)
        a.in[i] = argv[first + i];
    return run_files(&a);
}

const struct command cmd_linear_attention = { "linear-attention",
                                              "linear attention of .npy files", run };
