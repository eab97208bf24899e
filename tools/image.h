/* SPDX-License-Identifier: Apache-2.0 */
/* A picture in memory, and what is drawn on it. What lies outside is cut off. */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stddef.h>

struct image {
    int width, height;
    unsigned char *rgb; /* owned, see image_free() */
};

/* White. Returns EXIT_OK or fail(). */
int image_new(struct image *out, int width, int height);
void image_free(struct image *image);

void image_fill(struct image *image, int x, int y, int width, int height,
                const unsigned char color[3]);

/* How text is drawn: in UTF-8, black; letters lose their accents, what is then not ASCII becomes a
 * box. */
struct lettering {
    int size;     /* points of a point of the font */
    int most;     /* characters; more are cut with two dots */
    bool upwards; /* turned, from (x, y) towards the top; else (x, y) is the left upper corner */
};

void image_text(struct image *image, int x, int y, const char *text, struct lettering how);

/* Length in points of a text so drawn. */
int image_text_length(const char *text, struct lettering how);

/* As a PNG, to be freed. Returns EXIT_OK or fail(). */
int image_png(const struct image *image, unsigned char **out, size_t *size);

#endif
