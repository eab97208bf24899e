/* SPDX-License-Identifier: Apache-2.0 */
/* Colours for numbers from 0 to 1. */
#ifndef COLORS_H
#define COLORS_H

enum { NUM_COLORS = 256 };

/*
 * From dark violet over blue and green to light yellow, red green blue. Equal steps look equal:
 * they are equal steps of lightness in Oklab (Ottosson 2020), so the map also works in grey and for
 * those who see colours differently.
 */
void colors_make(unsigned char out[NUM_COLORS][3]);

#endif
