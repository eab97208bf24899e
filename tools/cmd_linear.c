/* SPDX-License-Identifier: Apache-2.0 */
/* clattn linear-attention: linear attention from .npy files to .npy files. */
#include "cli.h"
#include "files.h"
#include "linear_job.h"

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

enum { Q, K, V, STATE_KV, STATE_Z };
enum { O, OUT_KV, OUT_Z };

struct linear {
    struct linear_job job;
    struct linear_results results;
};

static int prepare(struct file_job *f)
{
    struct linear *a = f->state;
    struct qkv *in = &a->job.in;
    const char *const paths[] = { f->in[Q].path, f->in[K].path, f->in[V].path };
    int code = qkv_raise(in, paths, &f->lacking);

    if (code == EXIT_OK)
        code = qkv_measure(in);
    if (code == EXIT_OK)
        code = linear_check(&in->n, &a->job.options);
    if (code == EXIT_OK)
        code = linear_results_new(&a->job, f->out[OUT_KV].path || f->out[OUT_Z].path, &a->results);
    qkv_text(&in->n, f->shape, sizeof f->shape);
    linear_options_text(&a->job.options, f->flags, sizeof f->flags);
    return code;
}

static int open(struct file_job *f, struct work *w, struct session *s)
{
    struct linear *a = f->state;

    return linear_job_open(w, s, &a->job, f->common.dtype, f->common.kernel, &a->results);
}

static int run(int argc, char **argv)
{
    struct linear a = { .job.options = linear_defaults };
    struct linear_job *job = &a.job;
    struct file_job f = {
        .op = "linear-attention",
        .arguments = 3,
        .needs = "Q.npy, K.npy and V.npy",
        .makes = "O.npy",
        .in = {
            [Q] = { .array = &job->in.q, .dtype = CLATTN_F32 },
            [K] = { .array = &job->in.k, .dtype = CLATTN_F32 },
            [V] = { .array = &job->in.v, .dtype = CLATTN_F32 },
            [STATE_KV] = { .array = &job->in_kv, .dtype = CLATTN_F32, .rank = 4 },
            [STATE_Z] = { .array = &job->in_z, .dtype = CLATTN_F32, .rank = 3 },
        },
        .out = {
            [O] = { .array = &a.results.o },
            [OUT_KV] = { .array = &a.results.kv },
            [OUT_Z] = { .array = &a.results.z },
        },
        .common.dtype = CLATTN_F32,
        .prepare = prepare,
        .open = open,
        .state = &a,
    };
    const struct option_spec own[] = {
        { "output", 'o', "O.npy", "where the result goes, float32", parse_text, &f.out[O].path },
        { "state-in-kv", 0, "S.npy", "S of the keys before these", parse_text,
          &f.in[STATE_KV].path },
        { "state-in-z", 0, "Z.npy", "z of the keys before these", parse_text, &f.in[STATE_Z].path },
        { "state-out-kv", 0, "S.npy", "write S after these keys", parse_text, &f.out[OUT_KV].path },
        { "state-out-z", 0, "Z.npy", "write z after these keys", parse_text, &f.out[OUT_Z].path },
        OPTIONS_OF_RUN(f.common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];

    linear_options_specs(&job->options, specs);
    options_append(specs, LINEAR_NUM_OPTIONS, own);
    const int code = files_main(&f, &usage, specs, argc, argv);
    linear_results_free(&a.results);
    linear_job_free(job);
    return code;
}

const struct command cmd_linear_attention = { "linear-attention", "linear attention of .npy files",
                                              run };
