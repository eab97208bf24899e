/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention for bench and cost: shapes, flags, random tensors, what its two forms cost. */
#include "linear_bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "linear_job.h"
#include "report.h"

struct state {
    struct linear_sizes n;
    const char *shape; /* as given */
    struct linear_options options;
    bool with_state;
};

enum { MAX_SIZE = (1 << 29) - 1 }; /* longest axis of the library */

static int options(void *state, struct option_spec *specs)
{
    struct state *st = state;
    const struct option_spec own[] = {
        { "state", 0, NULL, "with a state before and after", parse_flag, &st->with_state },
    };

    st->options = linear_defaults;
    linear_options_specs(&st->options, specs);
    memcpy(specs + LINEAR_NUM_OPTIONS, own, sizeof own);
    return LINEAR_NUM_OPTIONS + (int)(sizeof own / sizeof own[0]);
}

static int set_shape(void *state, const char *text)
{
    struct state *st = state;
    int64_t x[7];
    const int count = read_ints(text, 7, x);

    if (count < 6)
        return fail(EXIT_USAGE, "--shape: '%s' is not B,Hq,Hk,Nq,Nk,D[,Dv]", text);
    for (int i = 0; i < count; i++) {
        if (x[i] < 0 || x[i] > MAX_SIZE)
            return fail(EXIT_USAGE, "--shape: %" PRId64 " is not between 0 and %d", x[i], MAX_SIZE);
    }
    st->n = (struct linear_sizes){ x[0], x[1], x[2], x[3], x[4], x[5], count == 7 ? x[6] : x[5] };
    st->shape = text;
    if (st->n.D < 1 || st->n.Dv < 1)
        return fail(EXIT_INPUT, "D is %" PRId64 " and Dv is %" PRId64 ", both must be at least 1",
                    st->n.D, st->n.Dv);
    if (st->n.Hk < 1 || st->n.Hq % st->n.Hk != 0)
        return fail(EXIT_INPUT,
                    "q has %" PRId64 " heads, k has %" PRId64 "; Hq must be a multiple of Hk",
                    st->n.Hq, st->n.Hk);
    if (st->options.map == CLATTN_MAP_POLY2 && st->n.D > 16384)
        return fail(EXIT_INPUT, "D is %" PRId64 ", poly2 takes at most 16384", st->n.D);
    return EXIT_OK;
}

static void describe(const void *state, char *text, size_t size)
{
    const struct state *st = state;

    linear_options_text(&st->options, text, size);
    const size_t n = strlen(text);
    snprintf(text + n, size - n, "%s", st->with_state ? " state" : "");
}

/* ------------------------------------------------------------------------------------------ */
/* Bench                                                                                      */

static int fill(struct array *a, int rank, const int64_t *shape, float amplitude, uint64_t seed)
{
    const int code = array_new(a, CLATTN_F32, rank, shape);

    if (code == EXIT_OK)
        array_random(a, amplitude, seed);
    return code;
}

static int make_job(const struct state *st, uint64_t seed, struct linear_job *job)
{
    const float unit = 1.7320508f;
    const struct linear_sizes *n = &st->n;
    const int64_t F = linear_features(st->options.map, n->D);
    const int64_t q[] = { n->B, n->Hq, n->Nq, n->D }, k[] = { n->B, n->Hk, n->Nk, n->D };
    const int64_t v[] = { n->B, n->Hk, n->Nk, n->Dv }, kv[] = { n->B, n->Hk, F, n->Dv };
    int code;

    *job = (struct linear_job){ .options = st->options };
    if ((code = fill(&job->q, 4, q, unit, seed + 1)) != EXIT_OK
        || (code = fill(&job->k, 4, k, unit, seed + 2)) != EXIT_OK
        || (code = fill(&job->v, 4, v, unit, seed + 3)) != EXIT_OK)
        return code;
    if (st->with_state
        && ((code = fill(&job->in_kv, 4, kv, unit, seed + 4)) != EXIT_OK
            || (code = fill(&job->in_z, 3, kv, unit, seed + 5)) != EXIT_OK))
        return code;
    return linear_job_sizes(job);
}

static void close_item(void **item)
{
    if (*item)
        linear_device_close(*item);
    free(*item);
    *item = NULL;
}

static int open_item(struct session *s, const void *state, clattn_dtype dtype, const char *kernel,
                     uint64_t seed, void **item)
{
    const struct state *st = state;
    struct linear_job job;
    struct linear_results results = { 0 };
    struct linear_device *d = calloc(1, sizeof *d);
    int code = make_job(st, seed, &job);

    *item = d;
    if (!d)
        code = fail(EXIT_INPUT, "out of memory");
    if (code == EXIT_OK)
        code = linear_results_new(&job, st->with_state, &results);
    if (code == EXIT_OK)
        code = linear_device_open(d, s, &job, dtype, kernel, &results);
    linear_results_free(&results);
    linear_job_free(&job);
    return code;
}

static clattn_plan *plan(void *item)
{
    return ((struct linear_device *)item)->plan;
}

static double output_bytes(const void *item)
{
    return ((const struct linear_device *)item)->output_bytes;
}

/* ------------------------------------------------------------------------------------------ */
/* Cost                                                                                       */

struct form_cost {
    const char *form;
    double flops, bytes;
    struct floor_time floor;
};

/* Bytes that must move: every input read once, every output written once. */
static double least_bytes(const struct state *st, clattn_dtype dtype)
{
    const struct linear_sizes *n = &st->n;
    const double width = (double)(n->D + n->Dv), F = (double)linear_features(st->options.map, n->D);
    const double rows = (double)n->Hq * (double)n->Nq + (double)n->Hk * (double)n->Nk;
    double bytes = (double)clattn_dtype_size(dtype) * (double)n->B * width * rows;

    if (st->with_state)
        bytes += 2 * 4 * (double)n->B * (double)n->Hk * F * (double)(n->Dv + 1);
    return bytes;
}

static json_t *form_json(const struct form_cost *c)
{
    json_t *o = json_object();

    json_text(o, "form", c->form);
    json_number(o, "flops", c->flops);
    json_number(o, "bytes", c->bytes);
    json_number(o, "intensity", c->flops / c->bytes);
    json_text(o, "bound", c->floor.bound);
    json_number(o, "floor_us", c->floor.us);
    return o;
}

static void print_json(const struct session *s, const struct state *st, clattn_dtype dtype,
                       const struct peaks *peaks, const struct form_cost *forms,
                       const struct form_cost *given)
{
    char flags[160];
    json_t *o = json_object(), *list = json_array(), *own = form_json(given);

    describe(st, flags, sizeof flags);
    json_text(o, "op", "linear-attention");
    json_text(o, "shape", st->shape);
    json_text(o, "flags", flags);
    json_text(o, "dtype", clattn_dtype_name(dtype));
    json_text(o, "device", s->device->name);
    json_number(o, "peak_gflops", peaks->gflops);
    json_number(o, "peak_gbytes_per_s", peaks->gbytes_per_s);
    json_object_update(o, own);
    json_decref(own);
    json_number(o, "features", (double)linear_features(st->options.map, st->n.D));
    json_number(o, "break_even_n", linear_break_even(&st->n, &st->options));
    for (int i = 0; i < 2; i++)
        json_array_append_new(list, form_json(&forms[i]));
    json_object_set_new(o, "forms", list);
    json_print(o);
}

static void print_text(const struct session *s, const struct state *st, clattn_dtype dtype,
                       const struct peaks *peaks, const struct form_cost *forms,
                       const struct form_cost *given)
{
    static const char *const head[] = { "", "compute", "bytes", "flop/B", "bound", "floor" };
    struct table t = { .columns = 6 };
    char flags[160];

    describe(st, flags, sizeof flags);
    printf("linear-attention %s %s %s, %" PRId64 " features\n", st->shape, clattn_dtype_name(dtype),
           flags, linear_features(st->options.map, st->n.D));
    printf(
        "  device  %s: %.0f GFLOP/s, %.1f GB/s, so %.1f flop/B part memory from compute bound\n\n",
        s->device->name, peaks->gflops, peaks->gbytes_per_s, peaks->gflops / peaks->gbytes_per_s);
    table_row(&t, head);
    for (int i = 0; i < 2; i++) {
        char name[16], flops[32], intensity[32];
        const char *row[] = { name,      flops,
                              bytes_text(forms[i].bytes), intensity,
                              forms[i].floor.bound,       time_text(forms[i].floor.us) };
        snprintf(name, sizeof name, "%s%s", forms[i].form, &forms[i] == given ? " *" : "");
        snprintf(flops, sizeof flops, "%.4g GFLOP", forms[i].flops * 1e-9);
        snprintf(intensity, sizeof intensity, "%.3g", forms[i].flops / forms[i].bytes);
        table_row(&t, row);
    }
    table_print(&t);
    printf("\n* what the dispatcher takes. Both forms give the same result; with Nq = Nk = N the\n"
           "linear one needs fewer flops from N = %.0f on.\n",
           linear_break_even(&st->n, &st->options));
}

/* The forms and the one of them that runs. */
static int cost(struct session *s, const void *state, const struct common *common)
{
    const struct state *st = state;
    struct peaks peaks = { 0 };
    const double bytes = least_bytes(st, common->dtype);
    struct form_cost forms[] = {
        { .form = "linear", .flops = linear_flops(&st->n, &st->options), .bytes = bytes },
        { .form = "quadratic", .flops = quadratic_flops(&st->n, &st->options), .bytes = bytes },
    };
    int code = session_peaks(s, &peaks);

    if (code == EXIT_OK)
        code = session_peaks(s, &peaks); /* the better of two: something else may have run */
    if (code != EXIT_OK)
        return code;
    for (int i = 0; i < 2; i++)
        forms[i].floor = peaks_floor(&peaks, forms[i].flops, bytes);
    const bool quadratic = st->options.form == CLATTN_FORM_QUADRATIC
                           || (st->options.form == CLATTN_FORM_AUTO && !st->with_state
                               && forms[1].flops < forms[0].flops);
    if (common->json)
        print_json(s, st, common->dtype, &peaks, forms, &forms[quadratic]);
    else
        print_text(s, st, common->dtype, &peaks, forms, &forms[quadratic]);
    return EXIT_OK;
}

const struct bench_op bench_linear = {
    .shape = "B,Hq,Hk,Nq,Nk,D[,Dv]",
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
