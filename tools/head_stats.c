/* SPDX-License-Identifier: Apache-2.0 */
#include "head_stats.h"

#include <math.h>
#include <stdlib.h>

#include "cli.h"

const char *pattern_name(enum head_pattern pattern)
{
    static const char *const names[] = { "previous", "self", "first", "separator" };

    return names[pattern];
}

/* Keys of a row that the device is asked for: those of the patterns, then every separator. */
enum { PICKS = PATTERN_SEPARATOR };

struct collector {
    const clm_ids *ids;
    int heads, picks, pairs;
    bool causal;
    int32_t *keys; /* [tokens][picks]; -1: the row has no such token */
    struct head_stats *stats;
};

static bool is_separator(const clm_ids *ids, int sep, int i)
{
    return i > 0 && ids->id[i] == sep;
}

static bool make_keys(struct collector *c, int sep)
{
    const int N = c->ids->count;

    c->picks = PICKS;
    for (int j = 0; j < N; j++)
        c->picks += is_separator(c->ids, sep, j);
    c->keys = malloc((size_t)N * (size_t)c->picks * sizeof *c->keys);
    for (int i = 0; c->keys && i < N; i++) {
        int32_t *key = c->keys + (size_t)i * (size_t)c->picks;
        int n = PICKS;
        key[PATTERN_PREVIOUS] = i - 1;
        key[PATTERN_SELF] = i;
        key[PATTERN_FIRST] = i > 0 ? 0 : -1;
        for (int j = 0; j < N; j++)
            if (is_separator(c->ids, sep, j))
                key[n++] = j;
    }
    return c->keys != NULL;
}

/* Puts a pair among the strongest, behind those that are as strong. */
static void add_pair(struct head_stats *s, int most, struct head_pair pair)
{
    int at = s->num_pairs < most ? s->num_pairs++ : most;

    while (at > 0 && s->pairs[at - 1].weight < pair.weight) {
        if (at < most)
            s->pairs[at] = s->pairs[at - 1];
        at--;
    }
    if (at < most)
        s->pairs[at] = pair;
}

/* Token i, which sees so many keys. */
static void add_row(struct head_stats *s, const struct collector *c, int i, int keys,
                    const clm_stats *d, size_t row)
{
    const float *chosen = d->chosen + row * (size_t)c->picks;

    for (int n = 0; n < c->picks; n++)
        s->pattern[n < PICKS ? n : PATTERN_SEPARATOR] += (double)chosen[n];
    s->distance += (double)d->distance[row];
    s->later_rows += i > 0;
    if (keys < 2)
        return;
    s->spread_rows++;
    s->entropy += (double)d->entropy[row] / log((double)keys);
    for (int n = 0; n < c->pairs; n++) {
        const size_t at = row * (size_t)c->pairs + (size_t)n;
        if (d->top_keys[at] >= 0)
            add_pair(s, c->pairs, (struct head_pair){ i, d->top_keys[at], d->top[at] });
    }
}

static bool put(void *user, int layer, const clm_stats *d, clm_fault *f)
{
    struct collector *c = user;
    const int N = c->ids->count;

    (void)f;
    for (int h = 0; h < c->heads; h++)
        for (int i = 0; i < N; i++)
            add_row(&c->stats[layer * c->heads + h], c, i, c->causal ? i + 1 : N, d,
                    (size_t)h * (size_t)N + (size_t)i);
    return true;
}

static void finish(struct head_stats *s, int rows)
{
    const int later = s->later_rows ? s->later_rows : 1, spread = s->spread_rows;

    s->distance /= rows;
    s->entropy /= spread ? spread : 1;
    s->pattern[PATTERN_SELF] /= rows;
    s->pattern[PATTERN_SEPARATOR] /= rows;
    s->pattern[PATTERN_PREVIOUS] /= later;
    s->pattern[PATTERN_FIRST] /= later;
    s->best = PATTERN_PREVIOUS;
    for (int n = 1; n < NUM_PATTERNS; n++)
        if (s->pattern[n] > s->pattern[s->best])
            s->best = (enum head_pattern)n;
}

static int make_entries(struct head_table *t, const clm_config *c, int pairs)
{
    t->count = c->layers * c->heads;
    t->heads = calloc((size_t)t->count, sizeof *t->heads);
    t->pairs = calloc((size_t)t->count * (size_t)pairs + 1, sizeof *t->pairs);
    if (!t->heads || !t->pairs)
        return fail(EXIT_INPUT, "out of memory");
    for (int i = 0; i < t->count; i++) {
        t->heads[i].layer = i / c->heads;
        t->heads[i].head = i % c->heads;
        t->heads[i].pairs = t->pairs + (size_t)i * (size_t)pairs;
    }
    return EXIT_OK;
}

int head_table_make(struct model_job *job, const clm_ids *ids, int pairs, struct head_table *out)
{
    const clm_config *c = &job->model->config;
    struct collector collector = { .ids = ids, .heads = c->heads, .pairs = pairs,
                                   .causal = c->family == CLM_GPT2 };
    clm_session *s = NULL;
    clm_fault f;

    *out = (struct head_table){ 0 };
    if (make_entries(out, c, pairs) != EXIT_OK)
        return EXIT_INPUT;
    if (!make_keys(&collector, job->tokenizer->sep))
        return fail(EXIT_INPUT, "out of memory");
    collector.stats = out->heads;
    const clm_capture capture = { .num_layers = c->layers,
                                  .tops = pairs,
                                  .picks = collector.picks,
                                  .keys = collector.keys,
                                  .put_stats = put,
                                  .user = &collector };
    const bool ok = clm_session_open(job->model, 1, ids->count, CLATTN_F32, &s, &f)
                    && clm_forward(s, ids->id, ids->count, NULL, &capture, &f);
    clm_session_close(&s);
    free(collector.keys);
    for (int i = 0; ok && i < out->count; i++)
        finish(&out->heads[i], ids->count);
    return ok ? EXIT_OK : model_fail(&f);
}

void head_table_free(struct head_table *table)
{
    free(table->heads);
    free(table->pairs);
    *table = (struct head_table){ 0 };
}
