/* SPDX-License-Identifier: Apache-2.0 */
/* clattn heads: which head looks at what. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "head_stats.h"

static const struct usage usage = {
    .synopsis = "heads --model DIR --text TEXT [--sort COLUMN] [-k K] [--pairs P] [options]",
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

static void print_json(const struct head_stats *s, char *const *labels)
{
    json_t *root = json_pack("{s:i, s:i, s:s}", "layer", s->layer, "head", s->head, "best",
                             pattern_name(s->best));

    for (int n = 0; n < NUM_PATTERNS; n++)
        json_object_set_new(root, pattern_name((enum head_pattern)n), json_real(s->pattern[n]));
    json_object_set_new(root, "distance", json_real(s->distance));
    json_object_set_new(root, "entropy", json_real(s->entropy));
    json_t *pairs = s->num_pairs > 0 ? json_array() : NULL;
    for (int n = 0; n < s->num_pairs; n++)
        json_array_append_new(pairs, json_pack("{s:i, s:i, s:[s,s], s:f}", "from",
                                               s->pairs[n].from, "to", s->pairs[n].to, "tokens",
                                               labels[s->pairs[n].from], labels[s->pairs[n].to],
                                               "weight", (double)s->pairs[n].weight));
    if (pairs)
        json_object_set_new(root, "pairs", pairs);
    json_dumpf(root, stdout, JSON_COMPACT);
    json_decref(root);
    putchar('\n');
}

static void print(const struct head_stats *s, char *const *labels)
{
    printf("%5d %4d  %-9s %8.3f %8.3f %8.3f %9.3f %8.2f %7.3f\n", s->layer, s->head,
           pattern_name(s->best), s->pattern[0], s->pattern[1], s->pattern[2], s->pattern[3],
           s->distance, s->entropy);
    for (int n = 0; n < s->num_pairs; n++)
        printf("            %.3f  %s -> %s\n", (double)s->pairs[n].weight,
               labels[s->pairs[n].from], labels[s->pairs[n].to]);
}

struct heads {
    struct common common;
    const char *dir, *text;
    int64_t most, pairs;
};

static int rank(const struct heads *a)
{
    struct model_job job;
    struct head_table table = { 0 };
    clm_ids ids = { 0 };
    char **labels = NULL;
    int code = model_job_open(&job, &a->common, a->dir);

    if (code == EXIT_OK)
        code = model_encode(&job, a->text, &ids);
    if (code == EXIT_OK && !(labels = model_labels(&job, &ids)))
        code = EXIT_INPUT;
    if (code == EXIT_OK)
        code = head_table_make(&job, &ids, (int)a->pairs, &table);
    if (code == EXIT_OK) {
        qsort(table.heads, (size_t)table.count, sizeof *table.heads, larger);
        if (!a->common.json)
            printf("layer head  best      previous     self    first separator distance entropy\n");
        for (int i = 0; i < table.count && (a->most == 0 || i < a->most); i++)
            (a->common.json ? print_json : print)(&table.heads[i], labels);
    }
    head_table_free(&table);
    labels_free(labels, ids.count);
    clm_ids_free(&ids);
    model_job_close(&job);
    return code;
}

enum { MAX_PAIRS = 1000 };

static int run(int argc, char **argv)
{
    struct heads a = { 0 };
    const char *sort = "best";
    const struct option_spec specs[] = {
        OPTION_MODEL(a.dir),
        { "text", 't', "TEXT", "what the model reads (needed)", parse_text, &a.text },
        { "sort", 0, "COLUMN", "rank by this, the largest first (default best)", parse_text,
          &sort },
        { "top", 'k', "K", "only so many heads (default all)", parse_int, &a.most },
        { "pairs", 0, "P", "also the P pairs of tokens with the largest weights", parse_int,
          &a.pairs },
        OPTION_DEVICE(a.common),
        OPTION_JSON(a.common),
        OPTION_VERBOSE(a.common),
        { 0 },
    };
    int code;

    if (!options_only(&usage, specs, argc, argv, &code))
        return code;
    if (!a.dir || !a.text)
        return usage_error(&usage, "heads needs --model and --text");
    if (a.most < 0)
        return usage_error(&usage, "-k cannot be negative");
    if (a.pairs < 0 || a.pairs > MAX_PAIRS)
        return usage_error(&usage, "--pairs is from 0 to %d", MAX_PAIRS);
    column = find_column(sort);
    return column < 0 ? EXIT_USAGE : rank(&a);
}

const struct command cmd_heads = { "heads", "rank the heads of a model by what they look at", run };
