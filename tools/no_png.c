/* SPDX-License-Identifier: Apache-2.0 */
/* In place of image_png.c, in a build without libpng. */
#include "cli.h"
#include "image.h"

int image_png(const struct image *image, unsigned char **out, size_t *size)
{
    (void)image;
    *out = NULL;
    *size = 0;
    return fail(EXIT_INPUT, "this build cannot write PNG: libpng was not there when it was made");
}
