/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiles of AMX: eight registers of 16 rows of 64 bytes. A product adds to c[16][16], in f32, the
 * sum over 32 steps of a[16][32] and b, whose rows hold two steps each: b[16][16][2]. Subnormals
 * count as 0 there, whatever the mode of the thread.
 */
#ifndef CLA_AMX_H
#define CLA_AMX_H

#include "lanes.h"

enum {
    AMX_SIDE = 16,   /* rows and columns of a product */
    AMX_STEPS = 32,  /* of a product */
    AMX_LINE = 64,   /* bytes of a row */
    AMX_TILE = 1024, /* bytes */
};

typedef struct amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_config;

/* Every thread says what its tiles are before it uses them, and gives them back afterwards. */
FN void amx_begin(void)
{
    static const _Alignas(64) amx_config config = {
        .palette = 1,
        .row_bytes = { 64, 64, 64, 64, 64, 64, 64, 64 },
        .rows = { 16, 16, 16, 16, 16, 16, 16, 16 },
    };
    _tile_loadconfig(&config);
}

FN void amx_end(void) { _tile_release(); }

FN __mmask32 first_of_32(int n)
{
    return n >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << n) - 1;
}

/* The first n of 32 values of 2 bytes, zeros after those, n > 0; nothing else is read. */
FN vf load_pairs_first(const void *p, int n)
{
    return (vf)_mm512_maskz_loadu_epi16(first_of_32(n), p);
}

#endif
