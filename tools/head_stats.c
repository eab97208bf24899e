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

struct collector {
    const clm_ids *ids;
    int sep, heads;
    bool causal;
    struct head_stats *stats;
};

/* One row: the weights p of the keys that token i sees. */
static void add_row(struct head_stats *s, const struct collector *c, int i, int keys,
                    const float *p)
{
    double entropy = 0, separators = 0;

    for (int j = 0; j < keys; j++) {
        const double w = (double)p[j];
        s->distance += w * abs(i - j);
        if (w > 0)
            entropy -= w * log(w);
        if (j > 0 && c->ids->id[j] == c->sep)
            separators += w;
    }
    s->rows++;
    s->pattern[PATTERN_SELF] += (double)p[i];
    s->pattern[PATTERN_SEPARATOR] += separators;
    if (i > 0) {
        s->later_rows++;
        s->pattern[PATTERN_PREVIOUS] += (double)p[i - 1];
        s->pattern[PATTERN_FIRST] += (double)p[0];
    }
    if (keys > 1) {
        s->spread_rows++;
        s->entropy += entropy / log((double)keys);
    }
}

/* Of a causal model row i sees i + 1 keys; what is beyond in a tile has weight 0. */
static bool put(void *user, int layer, int row, int rows, int keys, const float *p, clm_fault *f)
{
    struct collector *c = user;

    (void)f;
    for (int h = 0; h < c->heads; h++)
        for (int r = 0; r < rows; r++)
            add_row(&c->stats[layer * c->heads + h], c, row + r, c->causal ? row + r + 1 : keys,
                    p + ((size_t)h * (size_t)rows + (size_t)r) * (size_t)keys);
    return true;
}

static void finish(struct head_stats *s, int layer, int head)
{
    const int later = s->later_rows ? s->later_rows : 1, spread = s->spread_rows;

    s->layer = layer;
    s->head = head;
    s->distance /= s->rows;
    s->entropy /= spread ? spread : 1;
    s->pattern[PATTERN_SELF] /= s->rows;
    s->pattern[PATTERN_SEPARATOR] /= s->rows;
    s->pattern[PATTERN_PREVIOUS] /= later;
    s->pattern[PATTERN_FIRST] /= later;
    s->best = PATTERN_PREVIOUS;
    for (int n = 1; n < NUM_PATTERNS; n++)
        if (s->pattern[n] > s->pattern[s->best])
            s->best = (enum head_pattern)n;
}

int head_stats_make(struct model_job *job, const clm_ids *ids, struct head_stats **out)
{
    const clm_config *c = &job->model->config;
    struct collector collector = {
        .ids = ids, .sep = job->tokenizer->sep, .heads = c->heads, .causal = c->family == CLM_GPT2
    };
    const clm_capture capture = { .num_layers = c->layers,
                                  .num_heads = c->heads,
                                  .num_rows = ids->count,
                                  .put = put,
                                  .user = &collector };
    clm_session *s = NULL;
    clm_fault f;

    *out = collector.stats = calloc((size_t)c->layers * (size_t)c->heads, sizeof **out);
    if (!*out)
        return fail(EXIT_INPUT, "out of memory");
    const bool ok = clm_session_open(job->model, 1, ids->count, CLATTN_F32, &s, &f)
                    && clm_forward(s, ids->id, ids->count, NULL, &capture, &f);
    clm_session_close(&s);
    for (int i = 0; ok && i < c->layers * c->heads; i++)
        finish(&collector.stats[i], i / c->heads, i % c->heads);
    return ok ? EXIT_OK : model_fail(&f);
}
