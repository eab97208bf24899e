/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define BUILD_SECONDS 0.08 /* what a configuration costs before its first sample */

static void die(const char *name, const char *why)
{
    fprintf(stderr, "%s: %s\n", name, why);
    exit(1);
}

static void read_header(trace *t, char *line, const char *name)
{
    for (char *word = strtok(line, ",\n"); word; word = strtok(NULL, ",\n")) {
        if (strcmp(word, "median_ms") == 0)
            return;
        if (t->num_axes == CLA_MAX_AXES)
            break;
        snprintf(t->axis[t->num_axes++], sizeof t->axis[0], "%s", word);
    }
    die(name, "no column median_ms, or too many axes");
}

static void add_choice(trace *t, int axis, int value, const char *name)
{
    int *choices = t->choices[axis], n = t->counts[axis], i = n;
    for (int k = 0; k < n; k++)
        if (choices[k] == value)
            return;
    if (n == TRACE_CHOICES)
        die(name, "too many choices of an axis");
    for (; i > 0 && choices[i - 1] > value; i--)
        choices[i] = choices[i - 1];
    choices[i] = value;
    t->counts[axis]++;
}

static void read_row(trace *t, char *line, const char *name)
{
    trace_row *row = &t->rows[t->num_rows++];
    char *at = line;
    *row = (trace_row){ .n = 0 };
    for (int a = 0; a < t->num_axes; a++, at += *at == ',') {
        row->value[a] = (int)strtol(at, &at, 10);
        add_choice(t, a, row->value[a], name);
    }
    row->median_us = strtod(at, &at) * 1000;
    while ((*at == ',' || *at == ';') && row->n < TRACE_SAMPLES)
        row->sample_us[row->n++] = strtod(at + 1, &at) * 1000;
    if (row->n == 0 || row->median_us <= 0)
        die(name, "a row without times");
}

/* Values become numbers of choices. */
static void number_choices(trace *t)
{
    for (int i = 0; i < t->num_rows; i++)
        for (int a = 0; a < t->num_axes; a++) {
            int c = 0;
            while (t->choices[a][c] != t->rows[i].value[a])
                c++;
            t->rows[i].value[a] = c;
        }
}

static uint32_t code_of(const trace *t, const int *value)
{
    uint32_t code = 0;
    for (int a = t->num_axes - 1; a >= 0; a--)
        code = code * (uint32_t)t->counts[a] + (uint32_t)value[a];
    return code;
}

/* The axis "kernel", when there is one, is the last: its choices are variants. */
static bool has_variants(const trace *t)
{
    return strcmp(t->axis[t->num_axes - 1], "kernel") == 0;
}

static bool recorded(const void *user, const cla_point *point)
{
    const trace *t = user;
    int value[CLA_MAX_AXES];
    memcpy(value, point->at, sizeof value);
    if (has_variants(t))
        value[t->num_axes - 1] = point->variant;
    return t->row_of[code_of(t, value)] >= 0;
}

static void make_space(trace *t, const char *name)
{
    size_t codes = 1;
    int num_variants = 1;
    cla_variant variants[CLA_MAX_VARIANTS] = { { .num_axes = t->num_axes } };
    for (int a = 0; a < t->num_axes; a++)
        codes *= (size_t)t->counts[a];
    t->row_of = memory_alloc(codes * sizeof *t->row_of);
    for (size_t i = 0; i < codes; i++)
        t->row_of[i] = -1;
    for (int i = 0; i < t->num_rows; i++)
        t->row_of[code_of(t, t->rows[i].value)] = i;
    memcpy(variants[0].counts, t->counts, sizeof t->counts);
    if (has_variants(t)) {
        num_variants = t->counts[t->num_axes - 1];
        variants[0].num_axes--;
    }
    if (num_variants > CLA_MAX_VARIANTS)
        die(name, "too many kernels");
    for (int v = 1; v < num_variants; v++)
        variants[v] = variants[0];
    if (!cla_space_make(&t->space, variants, num_variants, recorded, t))
        die(name, "the space is too large");
}

void trace_read(trace *t, FILE *file, const char *name)
{
    char line[4096];
    int room = 1024;

    *t = (trace){ .best_us = 0 };
    t->rows = memory_alloc((size_t)room * sizeof *t->rows);
    if (!fgets(line, sizeof line, file))
        die(name, "empty");
    read_header(t, line, name);
    while (fgets(line, sizeof line, file)) {
        if (t->num_rows == room) {
            room *= 2;
            t->rows = realloc(t->rows, (size_t)room * sizeof *t->rows);
            if (!t->rows)
                die(name, "out of memory");
        }
        read_row(t, line, name);
        const double us = t->rows[t->num_rows - 1].median_us;
        t->best_us = t->best_us == 0 || us < t->best_us ? us : t->best_us;
    }
    number_choices(t);
    make_space(t, name);
}

void trace_free(trace *t)
{
    cla_space_free(&t->space);
    free(t->rows);
    free(t->row_of);
}

static int row_at(const trace *t, uint32_t code)
{
    cla_point point = cla_space_point(&t->space, code);
    if (has_variants(t))
        point.at[t->num_axes - 1] = point.variant;
    return t->row_of[code_of(t, point.at)];
}

double trace_regret(const trace *t, uint32_t code)
{
    return t->rows[row_at(t, code)].median_us / t->best_us;
}

static cla_verdict sample(void *user, uint32_t code, double limit_us, double *us)
{
    trace_replay *r = user;
    const int at = row_at(r->trace, code);
    const trace_row *row = &r->trace->rows[at];
    (void)limit_us;
    r->now += r->taken[at] ? 0 : BUILD_SECONDS;
    r->random = r->random * UINT64_C(6364136223846793005) + 1;
    switch (r->order) {
    case TRACE_AS_RECORDED:
        *us = row->sample_us[r->taken[at] % row->n];
        break;
    case TRACE_SHUFFLED:
        *us = row->sample_us[(r->random >> 33) % (unsigned)row->n];
        break;
    default:
        *us = row->median_us;
    }
    r->taken[at]++;
    r->now += *us * 1e-6;
    return CLA_VERDICT_OK;
}

static double fake_clock(void *user)
{
    return ((trace_replay *)user)->now;
}

void trace_search(const trace *t, trace_order order, uint64_t seed, int evals,
                  cla_search_result *result)
{
    trace_replay replay = { .trace = t, .order = order, .random = seed * 7919 + 1 };
    const cla_prober prober = { &replay, sample, fake_clock, NULL, NULL };
    const cla_search_options options = { .limits = { evals, 1e9, 25, false }, .seed = seed };
    replay.taken = calloc((size_t)t->num_rows, sizeof *replay.taken);
    if (!replay.taken || !cla_search(&t->space, &options, &prober, result))
        die("replay", "out of memory");
    free(replay.taken);
}
