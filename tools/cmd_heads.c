/* SPDX-License-Identifier: Apache-2.0 */
/* clattn heads: which head looks at what. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "head_stats.h"

static const struct usage usage = {
    .synopsis = "heads --model DIR --text TEXT [--sort COLUMN] [-k K] [options]",
    .text = "Ranks the heads of a model by what they do with a text: the mean weight that a token\n"
            "gives to the one before it, to itself, to the first token ([CLS]) and to separators\n"
            "([SEP]); how far away they look on average; and the entropy of their weights as a\n"
            "share of the largest possible (1: they look everywhere alike).\n",
    .after = "columns: best (the strongest of the four patterns), previous, self, first,\n"
             "separator, distance, entropy\n\n"
             "example:\n  clattn heads -m gpt2 -t 'Mary helps Tom because he is tired.' -k 10\n",
};

/* Index of a column; those below NUM_PATTERNS are patterns. */
enum { BY_DISTANCE = NUM_PATTERNS, BY_ENTROPY, BY_BEST, NUM_COLUMNS };

static int column; /* qsort() hands nothing on */

static double value_of(const struct head_stats *s)
{
    return column == BY_DISTANCE  ? s->distance
           : column == BY_ENTROPY ? s->entropy
           : column == BY_BEST    ? s->pattern[s->best]
                                  : s->pattern[column];
}

static int larger(const void *a, const void *b)
{
    const struct head_stats *x = a, *y = b;
    const double d = value_of(y) - value_of(x);

    if (d != 0)
        return d > 0 ? 1 : -1;
    return x->layer != y->layer ? x->layer - y->layer : x->head - y->head;
}

static int find_column(const char *name)
{
    static const char *const names[] = { "previous", "self",    "first", "separator",
                                         "distance", "entropy", "best" };
    struct suggestion near = { .word = name };

    for (int i = 0; i < NUM_COLUMNS; i++) {
        if (strcmp(name, names[i]) == 0)
            return i;
        suggest(&near, names[i]);
    }
    fail(EXIT_USAGE, "--sort: unknown column '%.40s'%s", name,
         did_you_mean(&near, "", "; `clattn heads --help` lists them"));
    return -1;
}

static void print(const struct head_stats *s, bool json)
{
    if (!json) {
        printf("%5d %4d  %-9s %8.3f %8.3f %8.3f %9.3f %8.2f %7.3f\n", s->layer, s->head,
               pattern_name(s->best), s->pattern[0], s->pattern[1], s->pattern[2], s->pattern[3],
               s->distance, s->entropy);
        return;
    }
    json_t *root = json_pack("{s:i, s:i, s:s}", "layer", s->layer, "head", s->head, "best",
                             pattern_name(s->best));
    for (int n = 0; n < NUM_PATTERNS; n++)
        json_object_set_new(root, pattern_name((enum head_pattern)n), json_real(s->pattern[n]));
    json_object_set_new(root, "distance", json_real(s->distance));
    json_object_set_new(root, "entropy", json_real(s->entropy));
    json_dumpf(root, stdout, JSON_COMPACT);
    json_decref(root);
    putchar('\n');
}

static int rank(const struct common *common, const char *dir, const char *text, int64_t most)
{
    struct model_job job;
    struct head_stats *stats = NULL;
    clm_ids ids = { 0 };
    int code = model_job_open(&job, common, dir);

    if (code == EXIT_OK)
        code = model_encode(&job, text, &ids);
    if (code == EXIT_OK)
        code = head_stats_make(&job, &ids, &stats);
    if (code == EXIT_OK) {
        const int count = job.model->config.layers * job.model->config.heads;
        qsort(stats, (size_t)count, sizeof *stats, larger);
        if (!common->json)
            printf("layer head  best      previous     self    first separator distance entropy\n");
        for (int i = 0; i < count && (most == 0 || i < most); i++)
            print(&stats[i], common->json);
    }
    free(stats);
    clm_ids_free(&ids);
    model_job_close(&job);
    return code;
}

static int run(int argc, char **argv)
{
    struct common common = { 0 };
    const char *dir = NULL, *text = NULL, *sort = "best";
    int64_t most = 0;
    const struct option_spec specs[] = {
        OPTION_MODEL(dir),
        { "text", 't', "TEXT", "what the model reads (needed)", parse_text, &text },
        { "sort", 0, "COLUMN", "rank by this, the largest first (default best)", parse_text,
          &sort },
        { "top", 'k', "K", "only so many heads (default all)", parse_int, &most },
        OPTION_DEVICE(common),
        OPTION_JSON(common),
        OPTION_VERBOSE(common),
        { 0 },
    };
    int code;

    if (!options_only(&usage, specs, argc, argv, &code))
        return code;
    if (!dir || !text)
        return usage_error(&usage, "heads needs --model and --text");
    if (most < 0)
        return usage_error(&usage, "-k cannot be negative");
    column = find_column(sort);
    return column < 0 ? EXIT_USAGE : rank(&common, dir, text, most);
}

const struct command cmd_heads = { "heads", "rank the heads of a model by what they look at", run };
