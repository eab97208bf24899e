/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What argmax attention knows of the best key of a row, as one number: a better score has the
 * higher rank, at equal scores the lower index has, 0 is no key. As in cl/argmax.clh.
 */
#ifndef CLA_RANK_H
#define CLA_RANK_H

#include <stdint.h>
#include <string.h>

static inline uint64_t cla_rank_of(float score, int key)
{
    uint32_t u;
    score += 0.0f; /* -0 equals 0 */
    memcpy(&u, &score, sizeof u);
    u = u & 0x80000000u ? ~u : u | 0x80000000u;
    if (score != score)
        u = 1; /* below -inf */
    return (uint64_t)u << 32 | (UINT32_MAX - (uint32_t)key);
}

/* -1 for no key. */
static inline int cla_key_of(uint64_t rank)
{
    return rank == 0 ? -1 : (int)(UINT32_MAX - (uint32_t)rank);
}

#endif
