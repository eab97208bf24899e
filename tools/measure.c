/* SPDX-License-Identifier: Apache-2.0 */
/* Wall-clock times of works, and their report against the floor. */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "cost.h"
#include "report.h"

enum { MIN_SAMPLES = 7, MAX_SAMPLES = 4000, MAX_BATCH = 2000, MAX_PEAKS = 5 };

static const double BATCH_US = 1e3; /* shorter than this, the clock and the wait would count */

static int run_batch(struct work *work, int batch, double *us)
{
    const double start = now_us();
    clattn_status status = CLATTN_OK;

    for (int i = 0; i < batch && status == CLATTN_OK; i++)
        status = work_queue(work);
    if (status == CLATTN_OK)
        status = clattn_finish(work->session->ctx);
    *us = (now_us() - start) / batch;
    return status == CLATTN_OK ? EXIT_OK : session_fail(work->session, status);
}

/* Warms up, then says how many runs make a batch. */
static int find_batch(struct work *work, int *batch)
{
    double us;
    int code = run_batch(work, 1, &us);

    for (*batch = 1; code == EXIT_OK; *batch *= 2) {
        code = run_batch(work, *batch, &us);
        if (us * *batch >= BATCH_US || *batch * 2 > MAX_BATCH)
            break;
    }
    return code;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts them. */
static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof x[0], by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Sorts samples; first: those of the first work, in the order of the turns; ratios: room for n. */
static void summarise(double *samples, const double *first, double *ratios, int n,
                      struct timing *out)
{
    for (int i = 0; i < n; i++)
        ratios[i] = first[i] / samples[i];
    out->ratio = median(ratios, n);
    out->median_us = median(samples, n);
    out->min_us = samples[0];
    out->runs = n;
}

/*
 * samples[MAX_SAMPLES * i + round], batch[i]. Should the time not be over with the last of them,
 * the rounds start again over the first ones.
 */
static int sample(int n, struct work *works, const int *batch, double seconds, double *samples,
                  int *rounds)
{
    const double start = now_us();
    int round = 0;

    for (*rounds = 0; *rounds < MIN_SAMPLES || now_us() - start < seconds * 1e6 * n;) {
        for (int i = 0; i < n; i++) {
            const int code = run_batch(&works[i], batch[i], &samples[MAX_SAMPLES * i + round]);
            if (code != EXIT_OK)
                return code;
        }
        *rounds = *rounds > round ? *rounds : round + 1;
        round = (round + 1) % MAX_SAMPLES;
    }
    return EXIT_OK;
}

int measure_works(int n, struct work *works, double seconds, struct timing *out)
{
    double *samples = calloc(((size_t)n + 1) * MAX_SAMPLES, sizeof *samples);
    int *batch = calloc((size_t)n, sizeof *batch);
    int rounds = 0, code = samples && batch ? EXIT_OK : fail(EXIT_INPUT, "out of memory");

    for (int i = 0; i < n && code == EXIT_OK; i++)
        code = find_batch(&works[i], &batch[i]);
    if (code == EXIT_OK)
        code = sample(n, works, batch, seconds, samples, &rounds);
    for (int i = n - 1; i >= 0 && code == EXIT_OK; i--) /* the first is needed to the last */
        summarise(samples + MAX_SAMPLES * i, samples, samples + MAX_SAMPLES * n, rounds, &out[i]);
    free(samples);
    free(batch);
    return code;
}

static bool beats_floor(const struct peaks *peaks, int n, const struct work *works,
                        const struct timing *timing)
{
    for (int i = 0; i < n; i++) {
        const clattn_plan_info *info = &works[i].info;
        if (timing[i].min_us < peaks_floor(peaks, works[i].dtype, info->flops, info->bytes).us)
            return true;
    }
    return false;
}

int measure_peaks(struct session *s, int n, const struct work *works, const struct timing *timing,
                  struct peaks *best)
{
    int code = session_peaks(s, best);

    for (int i = 1; i < MAX_PEAKS && code == EXIT_OK && beats_floor(best, n, works, timing); i++)
        code = session_peaks(s, best);
    return code;
}

/* ------------------------------------------------------------------------------------------ */
/* Report                                                                                     */

struct rates {
    double gflops, gbytes_per_s, workspace_over_output;
    double fraction, best_fraction; /* of the floor: the median, and the fastest run */
    struct floor_time floor;
};

static struct rates rates_of(const struct performance *p)
{
    const clattn_plan_info *info = &p->work->info;
    const double us = p->timing.median_us;
    struct rates r = {
        .floor = peaks_floor(&p->peaks, p->work->dtype, info->flops, info->bytes)
    };

    r.gflops = info->flops / us * 1e-3;
    r.gbytes_per_s = info->bytes / us * 1e-3;
    r.fraction = r.floor.us / us;
    r.best_fraction = r.floor.us / p->timing.min_us;
    if (p->work->output_bytes > 0)
        r.workspace_over_output = (double)info->workspace_bytes / p->work->output_bytes;
    return r;
}

static void print_json(const struct performance *p, const struct rates *r)
{
    const clattn_plan_info *info = &p->work->info;
    json_t *o = json_object();

    json_text(o, "op", p->op);
    json_text(o, "shape", p->shape);
    json_text(o, "flags", p->flags);
    json_text(o, "dtype", clattn_dtype_name(p->work->dtype));
    json_text(o, "device", p->work->session->device->name);
    json_text(o, "kernel", info->kernel);
    json_text(o, "config", info->config);
    json_text(o, "origin", info->origin);
    json_number(o, "runs", p->timing.runs);
    json_number(o, "rotated", (double)p->work->copies);
    json_number(o, "median_us", p->timing.median_us);
    json_number(o, "min_us", p->timing.min_us);
    if (p->compared)
        json_number(o, "ratio", p->timing.ratio);
    json_number(o, "flops", info->flops);
    json_number(o, "bytes", info->bytes);
    json_number(o, "intensity", info->intensity);
    json_number(o, "gflops", r->gflops);
    json_number(o, "gbytes_per_s", r->gbytes_per_s);
    json_floor(o, &r->floor);
    json_number(o, "fraction", r->fraction);
    json_number(o, "best_fraction", r->best_fraction);
    json_peaks(o, &p->peaks, p->work->dtype);
    json_number(o, "workspace_bytes", (double)info->workspace_bytes);
    json_number(o, "workspace_over_output", r->workspace_over_output);
    json_print(o);
}

static void print_text(const struct performance *p, const struct rates *r)
{
    const clattn_plan_info *info = &p->work->info;
    char rotated[48] = "", fastest[48] = "";

    if (p->timing.runs > 1)
        snprintf(fastest, sizeof fastest, ", %.1f %% by the fastest run", 100 * r->best_fraction);
    if (p->work->copies > 1)
        snprintf(rotated, sizeof rotated, ", rotated %lld copies", (long long)p->work->copies);
    printf("%s %s %s%s%s\n", p->op, p->shape, clattn_dtype_name(p->work->dtype),
           *p->flags ? " " : "", p->flags);
    printf("  device  %s\n", p->work->session->device->name);
    printf("  kernel  %s%s%s (%s)\n", info->kernel, *info->config ? " " : "", info->config,
           info->origin);
    if (p->timing.runs > 1)
        printf("  time    median %s, minimum %s of %d%s\n", time_text(p->timing.median_us),
               time_text(p->timing.min_us), p->timing.runs, rotated);
    else
        printf("  time    %s (second run)\n", time_text(p->timing.median_us));
    if (p->compared)
        printf("  gain    %.3f times as fast as untuned, median of the turns\n", p->timing.ratio);
    printf("  rate    %.1f GFLOP/s, %.2f GB/s\n", r->gflops, r->gbytes_per_s);
    printf("  floor   %s, %s bound (this device: %.0f GFLOP/s, %.1f GB/s): %.1f %% reached%s\n",
           time_text(r->floor.us), floor_bound(&r->floor),
           peaks_rate(&p->peaks, p->work->dtype), p->peaks.gbytes_per_s,
           100 * r->fraction, fastest);
    printf("  memory  %s of workspace, %.2f x the output\n",
           bytes_text((double)info->workspace_bytes), r->workspace_over_output);
    fflush(stdout);
}

void performance_print(const struct performance *p, bool json)
{
    const struct rates r = rates_of(p);

    if (json)
        print_json(p, &r);
    else
        print_text(p, &r);
}
