/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "cli.h"
#include "font.h"

int image_new(struct image *out, int width, int height)
{
    const size_t bytes = (size_t)width * (size_t)height * 3;

    *out = (struct image){ width, height, malloc(bytes) };
    if (!out->rgb)
        return fail(EXIT_INPUT, "no memory for a picture of %d by %d points", width, height);
    memset(out->rgb, 255, bytes);
    return EXIT_OK;
}

void image_free(struct image *image)
{
    free(image->rgb);
    *image = (struct image){ 0 };
}

void image_fill(struct image *image, int x, int y, int width, int height,
                const unsigned char color[3])
{
    for (int row = y < 0 ? 0 : y; row < y + height && row < image->height; row++)
        for (int column = x < 0 ? 0 : x; column < x + width && column < image->width; column++)
            memcpy(image->rgb + ((size_t)row * (size_t)image->width + (size_t)column) * 3, color,
                   3);
}

/* The next character without its accents; 0 at the end. */
static int32_t next_letter(const char **text)
{
    utf8proc_int32_t c, parts[16];
    int boundary = UTF8PROC_BOUNDCLASS_START;

    if (!**text)
        return 0;
    const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)*text, -1, &c);
    *text += n > 0 ? n : 1;
    if (n <= 0 || c == 0xb7)
        return n <= 0 ? 0xfffd : c;
    return utf8proc_decompose_char(c, parts, 16, UTF8PROC_DECOMPOSE, &boundary) > 0 ? parts[0] : c;
}

static int count_letters(const char *text)
{
    int n = 0;

    while (next_letter(&text))
        n++;
    return n;
}

static void draw_glyph(struct image *image, int x, int y, const unsigned char *glyph,
                       struct lettering how)
{
    static const unsigned char black[3];
    const int size = how.size;

    for (int row = 0; row < FONT_ROWS; row++)
        for (int column = 0; column < FONT_COLUMNS; column++) {
            const int across = column * size, down = row * size;
            if (!(glyph[row] >> (FONT_COLUMNS - 1 - column) & 1))
                continue;
            if (how.upwards)
                image_fill(image, x + down, y - across - size + 1, size, size, black);
            else
                image_fill(image, x + across, y + down, size, size, black);
        }
}

void image_text(struct image *image, int x, int y, const char *text, struct lettering how)
{
    const int length = count_letters(text), shown = length > how.most ? how.most : length;

    for (int i = 0; i < shown; i++) {
        const int32_t c = next_letter(&text);
        const bool cut = length > how.most && i >= how.most - 2;
        const int at = i * FONT_ADVANCE * how.size;
        draw_glyph(image, how.upwards ? x : x + at, how.upwards ? y - at : y,
                   font_glyph(cut ? '.' : c), how);
    }
}

int image_text_length(const char *text, struct lettering how)
{
    const int length = count_letters(text);

    return FONT_ADVANCE * how.size * (length > how.most ? how.most : length);
}
