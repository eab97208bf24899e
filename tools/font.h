/* SPDX-License-Identifier: Apache-2.0 */
/* A bitmap font for labels. */
#ifndef FONT_H
#define FONT_H

#include <stdint.h>

enum { FONT_COLUMNS = 5, FONT_ROWS = 8, FONT_ADVANCE = 6 };

/* FONT_ROWS rows of 5 bits, the highest on the left; a box for what is not ASCII. */
const unsigned char *font_glyph(int32_t c);

#endif
