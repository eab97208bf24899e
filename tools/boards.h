/* SPDX-License-Identifier: Apache-2.0 */
/* Boards that are sold, as their makers describe them: for estimates without one. */
#ifndef BOARDS_H
#define BOARDS_H

#include "options.h"

struct board {
    const char *name, *source; /* who says so */
    struct peaks f32, f16;     /* f16: also of bf16 */
};

enum { NUM_BOARDS = 3 };
extern const struct board boards[NUM_BOARDS];

/* The peaks for tensors of this dtype. */
const struct peaks *board_peaks(const struct board *board, clattn_dtype dtype);

#endif
