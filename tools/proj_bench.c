/* SPDX-License-Identifier: Apache-2.0 */
/* Projections for bench and cost: shapes, flags, random tensors, what they must cost. */
#include "proj_bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "proj_job.h"
#include "report.h"

struct state {
    int64_t rows, out, in;
    const char *shape; /* as given */
    struct proj_options options;
    bool bias, residual;
};

enum { MAX_SIZE = (1 << 29) - 1 }; /* longest axis of the library */

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

    if (read_ints(text, 3, x) != 3)
        return fail(EXIT_USAGE, "--shape: '%s' is not rows,out,in", text);
    for (int i = 0; i < 3; i++) {
        if (x[i] < (i > 0) || x[i] > MAX_SIZE)
            return fail(EXIT_USAGE, "--shape: %" PRId64 " is not between %d and %d", x[i], i > 0,
                        MAX_SIZE);
    }
    st->rows = x[0];
    st->out = x[1];
    st->in = x[2];
    st->shape = text;
    return EXIT_OK;
}

static void describe(const void *state, char *text, size_t size)
{
    const struct state *st = state;

    proj_options_text(&st->options, text, size);
    const size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%s", st->bias ? " bias" : "", st->residual ? " residual" : "");
    if (*text == ' ')
        memmove(text, text + 1, strlen(text));
}

/* ------------------------------------------------------------------------------------------ */
/* Bench                                                                                      */

static int fill(struct array *a, int rank, const int64_t *shape, uint64_t seed)
{
    const int code = array_new(a, CLATTN_F32, rank, shape);

    if (code == EXIT_OK)
        array_random(a, 1, seed);
    return code;
}

static int make_job(const struct state *st, uint64_t seed, struct proj_job *job)
{
    const int64_t x[] = { st->rows, st->in }, w[] = { st->out, st->in },
                  y[] = { st->rows, st->out };
    int code;

    *job = (struct proj_job){ .options = st->options };
    if ((code = fill(&job->x, 2, x, seed + 1)) != EXIT_OK
        || (code = fill(&job->w, 2, w, seed + 2)) != EXIT_OK)
        return code;
    if (st->bias && (code = fill(&job->b, 1, &st->out, seed + 3)) != EXIT_OK)
        return code;
    return st->residual ? fill(&job->residual, 2, y, seed + 4) : EXIT_OK;
}

static void close_item(void **item)
{
    if (*item)
        proj_device_close(*item);
    free(*item);
    *item = NULL;
}

static int open_item(struct session *s, const void *state, clattn_dtype dtype, const char *kernel,
                     uint64_t seed, void **item)
{
    struct proj_job job;
    struct array y = { 0 };
    struct proj_device *d = calloc(1, sizeof *d);
    int code = make_job(state, seed, &job);

    *item = d;
    if (!d)
        code = fail(EXIT_INPUT, "out of memory");
    if (code == EXIT_OK)
        code = proj_job_result(&job, &y);
    if (code == EXIT_OK)
        code = proj_device_open(d, s, &job, dtype, kernel, &y);
    array_free(&y);
    proj_job_free(&job);
    return code;
}

static clattn_plan *plan(void *item)
{
    return ((struct proj_device *)item)->plan;
}

static double output_bytes(const void *item)
{
    return ((const struct proj_device *)item)->output_bytes;
}

/* ------------------------------------------------------------------------------------------ */
/* Cost                                                                                       */

struct cost {
    int64_t rows;
    double w_bytes, flops, bytes;
    struct floor_time floor;
};

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

static struct cost cost_of(const struct state *st, int64_t rows, clattn_dtype dtype,
                           const struct peaks *peaks)
{
    const double size = (double)clattn_dtype_size(dtype), y = (double)rows * (double)st->out;
    struct cost c = { .rows = rows, .w_bytes = weight_bytes(st, dtype) };

    c.flops = 2 * y * (double)st->in;
    c.bytes = c.w_bytes + size * ((double)rows * (double)st->in + y * (st->residual ? 2 : 1));
    if (st->bias)
        c.bytes += size * (double)st->out;
    c.floor = peaks_floor(peaks, c.flops, c.bytes);
    return c;
}

static json_t *cost_json(const struct cost *c)
{
    json_t *o = json_object();

    json_number(o, "rows", (double)c->rows);
    json_number(o, "weight_bytes", c->w_bytes);
    json_number(o, "flops", c->flops);
    json_number(o, "bytes", c->bytes);
    json_number(o, "intensity", c->flops / c->bytes);
    json_text(o, "bound", c->floor.bound);
    json_number(o, "floor_us", c->floor.us);
    return o;
}

static void print_json(const struct session *s, const struct state *st, clattn_dtype dtype,
                       const struct peaks *peaks, const struct cost *costs, int n)
{
    char flags[160];
    json_t *o = json_object(), *list = json_array(), *own = cost_json(&costs[0]);

    describe(st, flags, sizeof flags);
    json_text(o, "op", "project");
    json_text(o, "shape", st->shape);
    json_text(o, "flags", flags);
    json_text(o, "dtype", clattn_dtype_name(dtype));
    json_text(o, "device", s->device->name);
    json_number(o, "peak_gflops", peaks->gflops);
    json_number(o, "peak_gbytes_per_s", peaks->gbytes_per_s);
    json_object_update(o, own);
    json_decref(own);
    for (int i = 0; i < n; i++)
        json_array_append_new(list, cost_json(&costs[i]));
    json_object_set_new(o, "variants", list);
    json_print(o);
}

static void print_text(const struct session *s, const struct state *st, clattn_dtype dtype,
                       const struct peaks *peaks, const struct cost *costs, int n)
{
    static const char *const head[] = { "rows",   "weights", "compute", "bytes",
                                        "flop/B", "bound",   "floor" };
    struct table t = { .columns = 7 };
    char flags[160];

    describe(st, flags, sizeof flags);
    printf("project %s %s%s%s\n", st->shape, clattn_dtype_name(dtype), *flags ? " " : "", flags);
    printf(
        "  device  %s: %.0f GFLOP/s, %.1f GB/s, so %.1f flop/B part memory from compute bound\n\n",
        s->device->name, peaks->gflops, peaks->gbytes_per_s, peaks->gflops / peaks->gbytes_per_s);
    table_row(&t, head);
    for (int i = 0; i < n; i++) {
        const struct cost *c = &costs[i];
        char rows[24], flops[32], intensity[32];
        const char *row[] = {
            rows,           bytes_text(c->w_bytes), flops, bytes_text(c->bytes), intensity,
            c->floor.bound, time_text(c->floor.us)
        };
        snprintf(rows, sizeof rows, "%" PRId64 "%s", c->rows, i == 0 ? " *" : "");
        snprintf(flops, sizeof flops, "%.4g GFLOP", c->flops * 1e-9);
        snprintf(intensity, sizeof intensity, "%.3g", c->flops / c->bytes);
        table_row(&t, row);
    }
    table_print(&t);
    puts("\n* as given. Few rows are bound by reading the weights, many by multiplying them.");
}

static int cost(struct session *s, const void *state, const struct common *common)
{
    static const int64_t other[] = { 1, 16, 256, 4096 };
    const struct state *st = state;
    struct cost costs[5];
    struct peaks peaks = { 0 };
    int n = 0;
    int code = session_peaks(s, &peaks);

    if (code == EXIT_OK)
        code = session_peaks(s, &peaks); /* the better of two: something else may have run */
    if (code != EXIT_OK)
        return code;
    costs[n++] = cost_of(st, st->rows, common->dtype, &peaks);
    for (int i = 0; i < 4; i++)
        if (other[i] != st->rows)
            costs[n++] = cost_of(st, other[i], common->dtype, &peaks);
    if (common->json)
        print_json(s, st, common->dtype, &peaks, costs, n);
    else
        print_text(s, st, common->dtype, &peaks, costs, n);
    return EXIT_OK;
}

const struct bench_op bench_projection = {
    .shape = "rows,out,in",
    .state_size = sizeof(struct state),
    .options = options,
    .set_shape = set_shape,
    .describe = describe,
    .open = open_item,
    .plan = plan,
    .output_bytes = output_bytes,
    .close = close_item,
    .cost = cost,
};
