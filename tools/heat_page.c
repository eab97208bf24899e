/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heat_page.html with its data in place of a mark. The data is JSON in which < is written \u003c,
 * so nothing in it can end the script element; the page itself sets texts as texts only.
 */
#include "heat_page.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "colors.h"

extern const char heat_page_html[]; /* made from heat_page.html */

static const char MARK[] = "@DATA@";

enum { MAX_BYTES = 48 << 20 }; /* of weights on a page */

/* A weight as a byte, square root of it: small ones matter. To base64. */
static char *pack_weights(const float *p, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((count + 2) / 3 * 4 + 1);
    size_t at = 0;

    for (size_t i = 0; text && i < count; i += 3) {
        unsigned bits = 0;
        for (size_t n = 0; n < 3; n++) {
            const float w = i + n < count ? p[i + n] : 0;
            bits = bits << 8 | (unsigned)(w > 0 ? w < 1 ? lrintf(255 * sqrtf(w)) : 255 : 0);
        }
        for (int n = 3; n >= 0; n--)
            text[at++] = digits[bits >> (6 * n) & 63];
        if (i + 2 >= count)
            text[at - 1] = '=';
        if (i + 1 >= count)
            text[at - 2] = '=';
    }
    if (text)
        text[at] = '\0';
    return text;
}

static json_t *model_json(const struct heat_model *m)
{
    const struct attention_maps *maps = m->maps;
    const size_t N = (size_t)maps->N;
    char *weights = pack_weights(maps->p, (size_t)maps->layers * (size_t)maps->heads * N * N);
    json_t *root = json_pack("{s:s, s:i, s:i, s:s*}", "name", m->name, "layers", maps->layers,
                             "heads", maps->heads, "weights", weights);

    free(weights);
    return root;
}

static json_t *palette_json(void)
{
    unsigned char colors[NUM_COLORS][3];
    json_t *list = json_array();

    colors_make(colors);
    for (int i = 0; i < NUM_COLORS; i++)
        json_array_append_new(list, json_pack("[i,i,i]", colors[i][0], colors[i][1], colors[i][2]));
    return list;
}

static char *data_json(const struct heat_model *models, int count, const char *text,
                       char *const *labels, int layer, int head)
{
    json_t *list = json_array(), *tokens = json_array();

    for (int i = 0; i < count; i++)
        json_array_append_new(list, model_json(&models[i]));
    for (int i = 0; i < models[0].maps->N; i++)
        json_array_append_new(tokens, json_string(labels[i]));
    json_t *root =
        json_pack("{s:s, s:o, s:o, s:o, s:i, s:i}", "text", text, "tokens", tokens, "models", list,
                  "palette", palette_json(), "layer", layer, "head", head);
    char *dump = root ? json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(root);
    return dump;
}

/* Copies text, < as \u003c; returns the end. */
static char *put_escaped(char *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '<') {
            memcpy(to, "\\u003c", 6);
            to += 6;
        } else {
            *to++ = *text;
        }
    }
    return to;
}

int heat_page_check(size_t weights)
{
    if (weights <= MAX_BYTES)
        return EXIT_OK;
    return fail(EXIT_INPUT,
                "%zu weights are too many for a page, at most %d; take a shorter text, or write "
                ".npy",
                weights, MAX_BYTES);
}

int heat_page(const struct heat_model *models, int count, const char *text, char *const *labels,
              int layer, int head, char **out, size_t *size)
{
    *out = NULL;
    char *data = data_json(models, count, text, labels, layer, head);
    const char *mark = strstr(heat_page_html, MARK);
    if (data && mark) {
        size_t brackets = 0;
        for (const char *c = data; *c; c++)
            brackets += *c == '<';
        *out = malloc(strlen(heat_page_html) + strlen(data) + 5 * brackets + 1);
    }
    if (*out) {
        memcpy(*out, heat_page_html, (size_t)(mark - heat_page_html));
        char *end = put_escaped(*out + (mark - heat_page_html), data);
        strcpy(end, mark + sizeof MARK - 1);
        *size = (size_t)(end - *out) + strlen(end);
    }
    free(data);
    return *out ? EXIT_OK : fail(EXIT_INPUT, "out of memory");
}
