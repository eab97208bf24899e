/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and argmax attention for bench and cost: shapes, flags, random tensors, costs. */
#include "attn_bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attn_job.h"
#include "cli.h"
#include "report.h"

struct state {
    struct attn_sizes n;
    const char *shape; /* as given */
    struct attn_options options;
    bool argmax;
    bool mask, bias, alibi, sinks, lse, probs, index;
};

enum { MAX_SIZE = (1 << 29) - 1 }; /* longest axis of the library */

static int options(void *state, struct option_spec *specs)
{
    struct state *st = state;
    const struct option_spec own[] = {
        { "mask", 0, NULL, "with a random mask [B][1][Nq][Nk]", parse_flag, &st->mask },
        { "bias", 0, NULL, "with a random bias [1][Hq][Nq][Nk]", parse_flag, &st->bias },
        { "alibi", 0, NULL, "with ALiBi slopes", parse_flag, &st->alibi },
        { "sinks", 0, NULL, "with attention sinks", parse_flag, &st->sinks },
        { "lse", 0, NULL, "write the log-sum-exp too", parse_flag, &st->lse },
        { "probs", 0, NULL, "write all probabilities too", parse_flag, &st->probs },
    };

    attn_options_specs(&st->options, specs);
    memcpy(specs + ATTN_NUM_OPTIONS, own, sizeof own);
    return ATTN_NUM_OPTIONS + (int)(sizeof own / sizeof own[0]);
}

static int argmax_options(void *state, struct option_spec *specs)
{
    struct state *st = state;
    const struct option_spec own[] = {
        { "mask", 0, NULL, "with a random mask [B][1][Nq][Nk]", parse_flag, &st->mask },
        { "index", 0, NULL, "write the indices too", parse_flag, &st->index },
    };

    st->argmax = true;
    attn_options_specs(&st->options, specs);
    memcpy(specs + ATTN_NUM_VISIBILITY, own, sizeof own);
    return ATTN_NUM_VISIBILITY + (int)(sizeof own / sizeof own[0]);
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
    st->n = (struct attn_sizes){ x[0], x[1], x[2], x[3], x[4], x[5], count == 7 ? x[6] : x[5] };
    st->shape = text;
    if (st->n.D < 1 || st->n.Dv < 1)
        return fail(EXIT_INPUT, "D is %" PRId64 " and Dv is %" PRId64 ", both must be at least 1",
                    st->n.D, st->n.Dv);
    if (st->n.Hq > 0 && (st->n.Hk < 1 || st->n.Hq % st->n.Hk != 0))
        return fail(EXIT_INPUT,
                    "q has %" PRId64 " heads, k has %" PRId64 "; Hq must be a multiple of Hk",
                    st->n.Hq, st->n.Hk);
    return EXIT_OK;
}

static void describe(const void *state, char *text, size_t size)
{
    const struct state *st = state;
    size_t n;

    attn_options_text(&st->options, text, size);
    n = strlen(text);
    snprintf(text + n, size - n, "%s%s%s%s%s%s%s", st->mask ? " mask" : "",
             st->bias ? " bias" : "", st->alibi ? " alibi" : "", st->sinks ? " sinks" : "",
             st->lse ? " lse" : "", st->probs ? " probs" : "", st->index ? " index" : "");
    if (*text == ' ')
        memmove(text, text + 1, strlen(text));
}

/* ------------------------------------------------------------------------------------------ */
/* Bench                                                                                      */

static int fill(struct array *a, int rank, const int64_t *shape, clattn_dtype dtype,
                float amplitude, uint64_t seed)
{
    const int code = array_new(a, dtype, rank, shape);

    if (code == EXIT_OK)
        array_random(a, amplitude, seed);
    return code;
}

/* Variance 1, so that the scores spread as those of trained models do. */
static int make_job(const struct state *st, uint64_t seed, struct attn_job *job)
{
    const float unit = 1.7320508f;
    const struct attn_sizes *n = &st->n;
    const int64_t q[] = { n->B, n->Hq, n->Nq, n->D }, k[] = { n->B, n->Hk, n->Nk, n->D };
    const int64_t v[] = { n->B, n->Hk, n->Nk, n->Dv };
    const int64_t mask[] = { n->B, 1, n->Nq, n->Nk }, bias[] = { 1, n->Hq, n->Nq, n->Nk };
    int code;

    *job = (struct attn_job){ .argmax = st->argmax, .options = st->options };
    if ((code = fill(&job->q, 4, q, CLATTN_F32, unit, seed + 1)) != EXIT_OK
        || (code = fill(&job->k, 4, k, CLATTN_F32, unit, seed + 2)) != EXIT_OK
        || (code = fill(&job->v, 4, v, CLATTN_F32, unit, seed + 3)) != EXIT_OK)
        return code;
    if (st->mask && (code = fill(&job->mask, 4, mask, CLATTN_U8, 1, seed + 4)) != EXIT_OK)
        return code;
    if (st->bias && (code = fill(&job->bias, 4, bias, CLATTN_F32, unit, seed + 5)) != EXIT_OK)
        return code;
    if (st->alibi && (code = fill(&job->alibi, 1, &n->Hq, CLATTN_F32, 0.1f, seed + 6)) != EXIT_OK)
        return code;
    if (st->sinks && (code = fill(&job->sinks, 1, &n->Hq, CLATTN_F32, unit, seed + 7)) != EXIT_OK)
        return code;
    return attn_job_sizes(job);
}

static void close_item(void **item)
{
    if (*item)
        attn_device_close(*item);
    free(*item);
    *item = NULL;
}

static int open_item(struct session *s, const void *state, clattn_dtype dtype, const char *kernel,
                     uint64_t seed, void **item)
{
    const struct state *st = state;
    const struct attn_wanted wanted = { st->lse, st->probs, st->index };
    struct attn_job job;
    struct attn_results results = { 0 };
    struct attn_device *d = calloc(1, sizeof *d);
    int code = make_job(st, seed, &job);

    *item = d;
    if (!d)
        code = fail(EXIT_INPUT, "out of memory");
    if (code == EXIT_OK)
        code = attn_results_new(&job, &wanted, &results);
    if (code == EXIT_OK)
        code = attn_device_open(d, s, &job, dtype, kernel, &results);
    attn_results_free(&results);
    attn_job_free(&job);
    return code;
}

static clattn_plan *plan(void *item)
{
    return ((struct attn_device *)item)->plan;
}

static double output_bytes(const void *item)
{
    return ((const struct attn_device *)item)->output_bytes;
}

/* ------------------------------------------------------------------------------------------ */
/* Cost                                                                                       */

struct cost {
    const char *variant;
    int64_t Hk;
    double kv_bytes, flops, bytes;
    struct floor_time floor;
};

/* Bytes that must move: every input read once, every output written once. */
static double all_bytes(const struct state *st, const struct attn_sizes *n, clattn_dtype dtype)
{
    const double pairs = (double)n->Nq * (double)n->Nk, B = (double)n->B, Hq = (double)n->Hq;
    double bytes = st->argmax ? argmax_bytes(n, dtype) : attn_bytes(n, dtype);

    if (st->mask)
        bytes += B * pairs;
    if (st->bias)
        bytes += Hq * pairs * (double)clattn_dtype_size(dtype);
    if (st->lse || st->index)
        bytes += 4 * B * Hq * (double)n->Nq;
    if (st->probs)
        bytes += 4 * B * Hq * pairs;
    return bytes;
}

static struct cost cost_of(const struct state *st, const char *variant, int64_t Hk,
                           clattn_dtype dtype, const struct peaks *peaks)
{
    struct attn_sizes n = st->n;
    struct cost c = { .variant = variant, .Hk = Hk };

    n.Hk = Hk;
    c.kv_bytes = (double)clattn_dtype_size(dtype) * (double)n.B * (double)Hk * (double)n.Nk
                 * (double)(n.D + n.Dv);
    c.flops = st->argmax ? argmax_flops(&n, &st->options) : attn_flops(&n, &st->options);
    c.bytes = all_bytes(st, &n, dtype);
    c.floor = peaks_floor(peaks, c.flops, c.bytes);
    return c;
}

/* Heads of the grouped variant: the given ones if they are that, else the widest of 8, 4, 2, 3. */
static int64_t grouped_heads(const struct attn_sizes *n)
{
    static const int64_t groups[] = { 8, 4, 2, 3 };

    if (n->Hk > 1 && n->Hk < n->Hq)
        return n->Hk;
    for (int i = 0; i < 4; i++) {
        if (n->Hq > groups[i] && n->Hq % groups[i] == 0)
            return n->Hq / groups[i];
    }
    return 0;
}

static json_t *cost_json(const struct cost *c)
{
    json_t *o = json_object();

    json_text(o, "variant", c->variant);
    json_number(o, "Hk", (double)c->Hk);
    json_number(o, "kv_bytes", c->kv_bytes);
    json_number(o, "flops", c->flops);
    json_number(o, "bytes", c->bytes);
    json_number(o, "intensity", c->flops / c->bytes);
    json_text(o, "bound", c->floor.bound);
    json_number(o, "floor_us", c->floor.us);
    return o;
}

static const char *name_of(const struct state *st)
{
    return st->argmax ? "argmax" : "attention";
}

static void print_json(const struct session *s, const struct state *st, clattn_dtype dtype,
                       const struct peaks *peaks, const struct cost *given,
                       const struct cost *variants, int n)
{
    char flags[160];
    json_t *o = json_object(), *list = json_array(), *own = cost_json(given);

    describe(st, flags, sizeof flags);
    json_text(o, "op", name_of(st));
    json_text(o, "shape", st->shape);
    json_text(o, "flags", flags);
    json_text(o, "dtype", clattn_dtype_name(dtype));
    json_text(o, "device", s->device->name);
    json_number(o, "peak_gflops", peaks->gflops);
    json_number(o, "peak_gbytes_per_s", peaks->gbytes_per_s);
    json_object_update(o, own);
    json_decref(own);
    for (int i = 0; i < n; i++)
        json_array_append_new(list, cost_json(&variants[i]));
    json_object_set_new(o, "variants", list);
    json_print(o);
}

static void add_row(struct table *t, const struct cost *c, bool given)
{
    char name[16], heads[24], flops[32], intensity[32];
    const char *row[] = {
        name,      heads,          bytes_text(c->kv_bytes), flops, bytes_text(c->bytes),
        intensity, c->floor.bound, time_text(c->floor.us)
    };

    snprintf(name, sizeof name, "%s%s", c->variant, given ? " *" : "");
    snprintf(heads, sizeof heads, "%" PRId64, c->Hk);
    snprintf(flops, sizeof flops, "%.4g GFLOP", c->flops * 1e-9);
    snprintf(intensity, sizeof intensity, "%.3g", c->flops / c->bytes);
    table_row(t, row);
}

static void print_text(const struct session *s, const struct state *st, clattn_dtype dtype,
                       const struct peaks *peaks, const struct cost *variants, int n)
{
    static const char *const head[] = { "",      "Hk",     "K and V", "compute",
                                        "bytes", "flop/B", "bound",   "floor" };
    struct table t = { .columns = 8 };
    char flags[160];

    describe(st, flags, sizeof flags);
    printf("%s %s %s%s%s\n", name_of(st), st->shape, clattn_dtype_name(dtype), *flags ? " " : "",
           flags);
    printf(
        "  device  %s: %.0f GFLOP/s, %.1f GB/s, so %.1f flop/B part memory from compute bound\n\n",
        s->device->name, peaks->gflops, peaks->gbytes_per_s, peaks->gflops / peaks->gbytes_per_s);
    table_row(&t, head);
    for (int i = 0; i < n; i++)
        add_row(&t, &variants[i], variants[i].Hk == st->n.Hk);
    table_print(&t);
    printf("\n* as given. MHA, GQA and MQA differ in the key/value heads Hk that %" PRId64
           " query heads share.\n",
           st->n.Hq);
}

static int cost(struct session *s, const void *state, const struct common *common)
{
    const struct state *st = state;
    const int64_t Hq = st->n.Hq, grouped = grouped_heads(&st->n);
    struct cost variants[3];
    struct peaks peaks = { 0 };
    int n = 0;
    int code = session_peaks(s, &peaks);

    if (code == EXIT_OK)
        code = session_peaks(s, &peaks); /* the better of two: something else may have run */
    if (code != EXIT_OK)
        return code;
    variants[n++] = cost_of(st, "MHA", Hq, common->dtype, &peaks);
    if (grouped)
        variants[n++] = cost_of(st, "GQA", grouped, common->dtype, &peaks);
    if (Hq > 1)
        variants[n++] = cost_of(st, "MQA", 1, common->dtype, &peaks);
    const struct cost *given = &variants[0];
    for (int i = 0; i < n; i++)
        given = variants[i].Hk == st->n.Hk ? &variants[i] : given;
    if (common->json)
        print_json(s, st, common->dtype, &peaks, given, variants, n);
    else
        print_text(s, st, common->dtype, &peaks, variants, n);
    return EXIT_OK;
}

const struct bench_op bench_attention = {
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

const struct bench_op bench_argmax = {
    .shape = "B,Hq,Hk,Nq,Nk,D[,Dv]",
    .state_size = sizeof(struct state),
    .options = argmax_options,
    .set_shape = set_shape,
    .describe = describe,
    .open = open_item,
    .plan = plan,
    .output_bytes = output_bytes,
    .close = close_item,
    .cost = cost,
};
