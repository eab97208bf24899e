/* SPDX-License-Identifier: Apache-2.0 */
#include "heat_picture.h"

#include <stdio.h>

#include "cli.h"
#include "colors.h"
#include "font.h"

enum {
    MARGIN = 8,
    MAP = 1200,     /* points of a large map, about */
    SMALL_MAP = 96, /* of a small one, about */
    MAX_CELL = 28,
    BAR = 14, /* width of the scale */
    MAX_SIDE = 16384,
};

/* Titles and numbers, names of heads, tokens beside a map. */
static const struct lettering heading = { 2, 100, false }, caption = { 1, 20, false };

static struct lettering token_lettering(int cell, bool upwards)
{
    return (struct lettering){ cell >= 20 ? 2 : 1, 18, upwards };
}

static int cell_of(int N, int side, int most)
{
    const int cell = side / N;

    return cell < 1 ? 1 : cell > most ? most : cell;
}

static void draw_cells(struct image *image, unsigned char colors[NUM_COLORS][3], const float *p,
                       int N, int x, int y, int cell)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            const float w = p[(size_t)i * (size_t)N + (size_t)j];
            const int c = w > 0 ? w < 1 ? (int)(w * 255 + 0.5f) : 255 : 0;
            image_fill(image, x + j * cell, y + i * cell, cell, cell, colors[c]);
        }
}

/* From 1 at the top to 0. */
static void draw_scale(struct image *image, unsigned char colors[NUM_COLORS][3], int x, int y,
                       int height)
{
    static const char *const numbers[] = { "1.0", "0.5", "0.0" };

    for (int i = 0; i < height; i++)
        image_fill(image, x, y + i, BAR, 1, colors[(height - 1 - i) * 255 / (height - 1)]);
    for (int i = 0; i < 3; i++)
        image_text(image, x + BAR + 4, y + i * (height - 2 * FONT_ROWS) / 2, numbers[i], heading);
}

static int longest(char *const *labels, int N, struct lettering how)
{
    int length = 0;

    for (int i = 0; i < N; i++) {
        const int n = image_text_length(labels[i], how);
        length = n > length ? n : length;
    }
    return length;
}

/* Every label, or every so manieth that they do not touch. */
static void draw_labels(struct image *image, char *const *labels, int N, int x, int y, int cell)
{
    const struct lettering across = token_lettering(cell, false), up = token_lettering(cell, true);
    const int line = FONT_ROWS * across.size, step = (line + 3 + cell) / cell;
    const int offset = (cell - line) / 2;

    for (int i = 0; i < N; i += line < cell ? 1 : step) {
        image_text(image, x - 5 - image_text_length(labels[i], across), y + i * cell + offset,
                   labels[i], across);
        image_text(image, x + i * cell + offset, y - 6, labels[i], up);
    }
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int one_head(const struct attention_maps *maps, const char *title, char *const *labels,
                    unsigned char colors[NUM_COLORS][3], struct image *out)
{
    const int N = maps->N, cell = cell_of(N, MAP, MAX_CELL), side = N * cell;
    const int label = longest(labels, N, token_lettering(cell, false)) + 6;
    const int left = MARGIN + label, top = 2 * MARGIN + 2 * FONT_ROWS + label;
    const int height = larger(side, 80);
    const int width = left + side + 2 * MARGIN + BAR + 4 + 6 * FONT_ADVANCE;

    if (N > MAX_SIDE / 2)
        return fail(EXIT_INPUT, "%d tokens are too many for a picture; write .npy", N);
    const int code = image_new(out, larger(width, 2 * MARGIN + image_text_length(title, heading)),
                               top + height + MARGIN);
    if (code != EXIT_OK)
        return code;
    image_text(out, MARGIN, MARGIN, title, heading);
    draw_cells(out, colors, maps->p, N, left, top, cell);
    draw_labels(out, labels, N, left, top, cell);
    draw_scale(out, colors, left + side + MARGIN, top, height);
    return EXIT_OK;
}

static int all_heads(const struct attention_maps *maps, const char *title,
                     unsigned char colors[NUM_COLORS][3], struct image *out)
{
    const int N = maps->N, cell = cell_of(N, SMALL_MAP, 16), side = N * cell, step = side + 6;
    const int left = MARGIN + 10 * FONT_ADVANCE, top = 2 * MARGIN + 4 * FONT_ROWS;
    const long long width = left + (long long)maps->heads * step + MARGIN;
    const long long height = top + (long long)maps->layers * step + MARGIN;
    const int title_width = 2 * MARGIN + image_text_length(title, heading);
    char text[32];

    if (width > MAX_SIDE || height > MAX_SIDE)
        return fail(EXIT_INPUT,
                    "a picture of %lld by %lld points is too large; choose a layer and "
                    "a head, or write .npy",
                    width, height);
    const int code = image_new(out, larger((int)width, title_width), (int)height);
    if (code != EXIT_OK)
        return code;
    image_text(out, MARGIN, MARGIN, title, heading);
    for (int h = 0; h < maps->heads; h++) {
        if (maps->mean)
            snprintf(text, sizeof text, "mean");
        else
            snprintf(text, sizeof text, "head %d", maps->head + h);
        image_text(out, left + h * step, top - FONT_ROWS - 3, text, caption);
    }
    for (int l = 0; l < maps->layers; l++) {
        snprintf(text, sizeof text, "layer %d", maps->layer + l);
        image_text(out, MARGIN, top + l * step + (side - FONT_ROWS) / 2, text, caption);
        for (int h = 0; h < maps->heads; h++) {
            const size_t map = (size_t)l * (size_t)maps->heads + (size_t)h;
            draw_cells(out, colors, maps->p + map * (size_t)N * (size_t)N, N, left + h * step,
                       top + l * step, cell);
        }
    }
    return EXIT_OK;
}

int heat_picture(const struct attention_maps *maps, const char *title, char *const *labels,
                 struct image *out)
{
    unsigned char colors[NUM_COLORS][3];

    colors_make(colors);
    return maps->layers * maps->heads == 1 ? one_head(maps, title, labels, colors, out)
                                           : all_heads(maps, title, colors, out);
}
