/* SPDX-License-Identifier: Apache-2.0 */
/* Projections for bench and cost: flags, random tensors, what they must cost. */
#include "proj_bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "proj_job.h"

struct state {
    int64_t rows, out, in;
    struct proj_options options;
    bool bias, residual;
};

#define SHAPE "rows,out,in"

static int options(void *state, struct option_spec *specs)
{
    struct state *st = state;
    const struct option_spec own[] = {
        { "bias", 0, NULL, "with a bias", parse_flag, &st->bias },
        { "residual", 0, NULL, "with a residual that is added", parse_flag, &st->residual },
    };

    proj_options_specs(&st->options, specs);
    memcpy(specs + PROJ_NUM_OPTIONS, own, sizeof own);
    return PROJ_NUM_OPTIONS + (int)(sizeof own / sizeof own[0]);
}

static int set_shape(void *state, const char *text)
{
    struct state *st = state;
    int64_t x[3];

    if (parse_sizes(text, SHAPE, 3, 3, x) < 0)
        return EXIT_USAGE;
    if (x[1] < 1 || x[2] < 1)
        return fail(EXIT_INPUT, "out is %" PRId64 " and in is %" PRId64 ", both must be at least 1",
                    x[1], x[2]);
    st->rows = x[0];
    st->out = x[1];
    st->in = x[2];
    return EXIT_OK;
}

static void describe(const void *state, char *text, size_t size)
{
    const struct state *st = state;

    proj_options_text(&st->options, text, size);
    if (st->bias)
        add_word(text, size, "bias");
    if (st->residual)
        add_word(text, size, "residual");
}

static int make_job(const struct state *st, uint64_t seed, struct proj_job *job)
{
    const int64_t x[] = { st->rows, st->in }, w[] = { st->out, st->in },
                  y[] = { st->rows, st->out };

    *job = (struct proj_job){ .options = st->options };
    int code = array_new_random(&job->x, CLATTN_F32, 2, x, 1, seed + 1);
    if (code == EXIT_OK)
        code = array_new_random(&job->w, CLATTN_F32, 2, w, 1, seed + 2);
    if (code == EXIT_OK && st->bias)
        code = array_new_random(&job->b, CLATTN_F32, 1, &st->out, 1, seed + 3);
    if (code == EXIT_OK && st->residual)
        code = array_new_random(&job->residual, CLATTN_F32, 2, y, 1, seed + 4);
    return code;
}

static int open(const void *state, const struct bench_item *item, struct work *w, struct session *s)
{
    struct proj_job job;
    struct array y = { 0 };
    int code = make_job(state, item->seed, &job);

    if (code == EXIT_OK)
        code = proj_job_result(&job, &y);
    if (code == EXIT_OK)
        code = proj_job_open(w, s, &job, item->dtype, item->kernel, &y);
    array_free(&y);
    proj_job_free(&job);
    return code;
}

static double weight_bytes(const struct state *st, clattn_dtype dtype)
{
    const clattn_dtype type = st->options.weights == CLATTN_NONE ? dtype : st->options.weights;
    const double values = (double)st->out * (double)st->in;

    if (type == CLATTN_I8)
        return values + 4 * (double)st->out;
    if (type == CLATTN_I4)
        return values / 2 + values / 32 * 4;
    return values * (double)clattn_dtype_size(type);
}

static void add_rows(const struct state *st, int64_t rows, clattn_dtype dtype, struct cost_table *t)
{
    const double size = (double)clattn_dtype_size(dtype), y = (double)rows * (double)st->out;
    char name[24];

    snprintf(name, sizeof name, "%" PRId64 " row%s", rows, rows == 1 ? "" : "s");
    struct cost_row *row = cost_add(t, name);
    row->value[0] = (double)rows;
    row->value[1] = weight_bytes(st, dtype);
    row->flops = 2 * y * (double)st->in;
    row->bytes = row->value[1] + size * ((double)rows * (double)st->in + y * (1 + st->residual));
    if (st->bias)
        row->bytes += size * (double)st->out;
}

static void cost(const void *state, clattn_dtype dtype, struct cost_table *t)
{
    static const int64_t other[] = { 1, 16, 256, 4096 };
    const struct state *st = state;

    *t = (struct cost_table){
        .list = "variants",
        .column = { { "rows", NULL, false }, { "weight_bytes", "weights", true } },
        .columns = 2,
        .note = "* as given. Few rows are bound by reading the weights, many by multiplying them.",
    };
    add_rows(st, st->rows, dtype, t);
    for (int i = 0; i < 4; i++) {
        if (other[i] != st->rows)
            add_rows(st, other[i], dtype, t);
    }
}

const struct bench_op bench_projection = {
    SHAPE, sizeof(struct state), options, set_shape, describe, open, cost,
};
