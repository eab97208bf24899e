/* SPDX-License-Identifier: Apache-2.0 */
/* clattn heatmap: what the heads of a model look at, as a picture, a page or numbers. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "heat_page.h"
#include "heat_picture.h"
#include "output.h"

static const struct usage usage = {
    .synopsis =
        "heatmap --model DIR --text TEXT [--layer L --head H | --all] [--mean] "
        "-o X.png|X.html|X.npy",
    .text = "Shows the attention weights of a model for a text. Rows are the tokens that look,\n"
            "columns the tokens they look at. The ending of the file says what is written:\n"
            "  .png   one head with its tokens, or all heads side by side\n"
            "  .html  a page for a browser: all heads, one of them large, the weights of the\n"
            "         token that is pointed at, arcs from token to token\n"
            "  .npy   float32 [N][N], with --all [layers][heads][N][N]; with --mean no heads\n",
    .after = "examples:\n  clattn heatmap -m gpt2 -t 'The cat sat.' --layer 3 --head 0 -o cat.png\n"
             "  clattn heatmap -m trained -t 'The cat sat.' --against untrained -o cat.html\n",
};

enum kind { PNG, HTML, NPY };

struct heatmap {
    struct common common;
    const char *dir, *against, *text, *path;
    int64_t layer, head; /* -1: not given */
    bool all, mean;
    enum kind kind;
    struct outputs files;
};

/* A model that has read the text. */
struct reading {
    struct model_job job;
    clm_ids ids;
    struct attention_maps maps;
};

static void reading_close(struct reading *r)
{
    attention_maps_free(&r->maps);
    clm_ids_free(&r->ids);
    model_job_close(&r->job);
}

/* The last part of a path. */
static const char *base_name(const char *path, char *out, size_t size)
{
    size_t end = strlen(path);

    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    snprintf(out, size, "%.*s", (int)(end - start), path + start);
    return out;
}

static int check_head(const struct heatmap *a, const clm_config *c)
{
    if (a->layer >= c->layers)
        return fail(EXIT_INPUT, "layer %lld does not exist; the model has %d, from 0 on",
                    (long long)a->layer, c->layers);
    if (a->head >= c->heads)
        return fail(EXIT_INPUT, "head %lld does not exist; a layer has %d, from 0 on",
                    (long long)a->head, c->heads);
    return EXIT_OK;
}

/* Reads the text: all heads, or the one that is wanted. */
static int read_text(const struct heatmap *a, const char *dir, struct reading *r)
{
    int code = model_job_open(&r->job, &a->common, dir);

    if (code == EXIT_OK)
        code = model_encode(&r->job, a->text, &r->ids);
    if (code != EXIT_OK)
        return code;
    const clm_config *c = &r->job.model->config;
    const bool one_layer = a->kind != HTML && !a->all, one_head = one_layer || a->mean;
    const size_t maps = (size_t)c->layers * (size_t)c->heads, N = (size_t)r->ids.count;
    code = check_head(a, c);
    if (code == EXIT_OK && a->kind == HTML)
        code = heat_page_check((a->against ? 2 : 1) * maps * N * N);
    if (code != EXIT_OK)
        return code;
    r->maps = (struct attention_maps){ .layer = one_layer ? (int)a->layer : 0,
                                       .layers = one_layer ? 1 : c->layers,
                                       .head = one_head && !a->mean ? (int)a->head : 0,
                                       .heads = one_head ? 1 : c->heads,
                                       .mean = a->mean };
    return attention_maps_make(&r->job, &r->ids, &r->maps);
}

/* ---- the three kinds ---- */

static int write_npy(struct heatmap *a, const struct attention_maps *maps)
{
    struct array array = { .dtype = CLATTN_F32,
                           .count = (size_t)maps->layers * (size_t)maps->heads * (size_t)maps->N
                                    * (size_t)maps->N,
                           .data = maps->p };
    const struct array *const arrays[] = { &array };

    if (a->all)
        array.shape[array.rank++] = maps->layers;
    if (a->all && !a->mean)
        array.shape[array.rank++] = maps->heads;
    array.shape[array.rank++] = maps->N;
    array.shape[array.rank++] = maps->N;
    return outputs_write(&a->files, arrays);
}

static int write_png(struct heatmap *a, const struct reading *r, char *const *labels)
{
    struct image image = { 0 };
    unsigned char *png = NULL;
    char title[256], name[128];
    size_t size;

    base_name(a->dir, name, sizeof name);
    if (a->all)
        snprintf(title, sizeof title, "%s%s", name, a->mean ? ", mean over heads" : "");
    else if (a->mean)
        snprintf(title, sizeof title, "%s, layer %lld, mean over heads", name,
                 (long long)a->layer);
    else
        snprintf(title, sizeof title, "%s, layer %lld, head %lld", name, (long long)a->layer,
                 (long long)a->head);
    int code = heat_picture(&r->maps, title, labels, &image);
    if (code == EXIT_OK)
        code = image_png(&image, &png, &size);
    if (code == EXIT_OK)
        code = outputs_write_bytes(&a->files, png, size);
    free(png);
    image_free(&image);
    return code;
}

static bool same_tokens(const clm_ids *a, const clm_ids *b)
{
    return a->count == b->count && memcmp(a->id, b->id, (size_t)a->count * sizeof *a->id) == 0;
}

static int write_html(struct heatmap *a, const struct reading *r, char *const *labels)
{
    struct reading other = { 0 };
    char names[2][128], *page = NULL;
    struct heat_model models[2] = {
        { base_name(a->dir, names[0], sizeof names[0]), &r->maps },
        { a->against ? base_name(a->against, names[1], sizeof names[1]) : NULL, &other.maps },
    };
    size_t size;
    int code = a->against ? read_text(a, a->against, &other) : EXIT_OK;

    if (code == EXIT_OK && a->against && !same_tokens(&r->ids, &other.ids))
        code = fail(EXIT_INPUT, "%s cuts the text into other tokens", a->against);
    if (code == EXIT_OK)
        code =
            heat_page(models, a->against ? 2 : 1, a->text, labels, a->layer < 0 ? 0 : (int)a->layer,
                      a->head < 0 ? 0 : (int)a->head, &page, &size);
    if (code == EXIT_OK)
        code = outputs_write_bytes(&a->files, page, size);
    free(page);
    reading_close(&other);
    return code;
}

static void print(const struct heatmap *a, const struct reading *r, char *const *labels)
{
    json_t *tokens = json_array();

    if (!a->common.json) {
        printf("%s: %d layers, %d heads, %d tokens\n", a->path, r->maps.layers,
               a->mean ? r->job.model->config.heads : r->maps.heads, r->maps.N);
        json_decref(tokens);
        return;
    }
    for (int i = 0; i < r->maps.N; i++)
        json_array_append_new(tokens, json_string(labels[i]));
    json_t *root = json_pack("{s:s, s:i, s:i, s:i, s:i, s:b, s:o}", "output", a->path, "layer",
                             r->maps.layer, "layers", r->maps.layers, "head", r->maps.head, "heads",
                             r->maps.heads, "mean", r->maps.mean, "tokens", tokens);
    json_dumpf(root, stdout, JSON_COMPACT);
    json_decref(root);
    putchar('\n');
}

static int show(struct heatmap *a)
{
    struct reading r = { 0 };
    char **labels = NULL;
    int code = outputs_add(&a->files, a->path);

    if (code == EXIT_OK)
        code = read_text(a, a->dir, &r);
    if (code == EXIT_OK && !(labels = model_labels(&r.job, &r.ids)))
        code = EXIT_INPUT;
    if (code == EXIT_OK)
        code = a->kind == NPY   ? write_npy(a, &r.maps)
               : a->kind == PNG ? write_png(a, &r, labels)
                                : write_html(a, &r, labels);
    if (code == EXIT_OK)
        print(a, &r, labels);
    labels_free(labels, r.ids.count);
    reading_close(&r);
    outputs_free(&a->files);
    return code;
}

/* ---- the command line ---- */

static bool find_kind(const char *path, enum kind *kind)
{
    static const char *const endings[] = { ".png", ".html", ".npy" };
    const size_t length = strlen(path);

    for (int i = 0; i < 3; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && strcmp(path + length - n, endings[i]) == 0) {
            *kind = (enum kind)i;
            return true;
        }
    }
    return false;
}

static int check(struct heatmap *a)
{
    if (!a->dir || !a->text || !a->path)
        return usage_error(&usage, "heatmap needs --model, --text and -o");
    if (!find_kind(a->path, &a->kind))
        return usage_error(&usage, "the output must end in .png, .html or .npy");
    const bool layer = a->layer != -1, head = a->head != -1;
    if ((layer && a->layer < 0) || (head && a->head < 0))
        return usage_error(&usage, "layers and heads count from 0");
    if (a->mean && (head || a->kind == HTML))
        return usage_error(&usage, "--mean stands in place of --head, for .png and .npy");
    if ((!a->mean && layer != head) || (a->kind != HTML && layer == a->all))
        return usage_error(&usage, "give --layer and --head, or --all");
    if (a->against && a->kind != HTML)
        return usage_error(&usage, "--against is for .html");
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct heatmap a = { .layer = -1, .head = -1 };
    const struct option_spec specs[] = {
        OPTION_MODEL(a.dir),
        { "text", 't', "TEXT", "what the model reads (needed)", parse_text, &a.text },
        { "layer", 0, "L", "the layer, from 0; on a page: shown first", parse_int, &a.layer },
        { "head", 0, "H", "the head, from 0; on a page: shown first", parse_int, &a.head },
        { "mean", 0, NULL, "the mean over the heads of a layer, in place of --head", parse_flag,
          &a.mean },
        { "all", 0, NULL, "all layers and heads (a page always has them)", parse_flag, &a.all },
        { "against", 0, "DIR", "a second model beside the first, on a page", parse_text,
          &a.against },
        { "output", 'o', "FILE", "X.png, X.html or X.npy (needed)", parse_text, &a.path },
        OPTION_DEVICE(a.common),
        OPTION_JSON(a.common),
        OPTION_VERBOSE(a.common),
        { 0 },
    };
    int code;

    if (!options_only(&usage, specs, argc, argv, &code))
        return code;
    code = check(&a);
    return code == EXIT_OK ? show(&a) : code;
}

const struct command cmd_heatmap = { "heatmap", "show what attention does with a text", run };
