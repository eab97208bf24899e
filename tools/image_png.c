/* SPDX-License-Identifier: Apache-2.0 */
/* PNG by libpng's simplified interface. */
#include <png.h>
#include <stdlib.h>

#include "cli.h"
#include "image.h"

int image_png(const struct image *image, unsigned char **out, size_t *size)
{
    png_image png = { .version = PNG_IMAGE_VERSION,
                      .width = (png_uint_32)image->width,
                      .height = (png_uint_32)image->height,
                      .format = PNG_FORMAT_RGB };
    png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(png);

    *out = malloc(bytes);
    if (!*out)
        return fail(EXIT_INPUT, "out of memory");
    if (png_image_write_to_memory(&png, *out, &bytes, 0, image->rgb, 0, NULL)) {
        *size = bytes;
        return EXIT_OK;
    }
    free(*out);
    *out = NULL;
    return fail(EXIT_INPUT, "libpng: %s", png.message);
}
