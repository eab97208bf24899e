/* SPDX-License-Identifier: Apache-2.0 */
/* The best key of each row of a task, as a rank: see cla_rank_of(). */
#ifndef CLA_BLOCK_ARGMAX_H
#define CLA_BLOCK_ARGMAX_H

#include "block_score.h"
#include "rank.h"

/*
 * The highest of scores [begin, end), hidden ones being -inf. NaN is dropped, so -inf may also mean
 * that there is no number.
 */
FN float best_score(const float *x, int begin, int end)
{
    vf top = splat(-INFINITY);
    for (int c = begin; c < end; c += LANES)
        top = max_keep(top, load_f32(x + c));
    return max_of(top);
}

/* While a row has no number above -inf: its first -inf, else its first NaN, is the best. */
static uint64_t best_without_numbers(const state *s, const block *b, int r, cla_range keys,
                                     const float *x, uint64_t best)
{
    for (int key = keys.begin; key < keys.end; key++)
        if (sees(s, b, r, key)) {
            const uint64_t rank = cla_rank_of(x[key - s->tile.begin], key);
            best = rank > best ? rank : best;
        }
    return best;
}

static void improve_row(const state *s, const block *b, int r, cla_range columns, cla_range keys,
                        const float *x, float *top, uint64_t *best)
{
    const float tile_top = best_score(x, columns.begin, columns.end);
    if (tile_top > *top) { /* not at a tie: an earlier key has it */
        int c = columns.begin;
        while (!(x[c] == tile_top))
            c++;
        *top = tile_top;
        *best = cla_rank_of(tile_top, s->tile.begin + c);
    } else if (*top == -INFINITY) {
        *best = best_without_numbers(s, b, r, intersect(keys, b->keys[r]), x, *best);
    }
}

static void argmax_tile(const state *s, block *b, int first, cla_range keys, float *scores,
                        void *user)
{
    uint64_t *ranks = user;
    (void)first;
    for (int r = 0; r < b->rows; r++)
        improve_row(s, b, r, columns_of(s, keys), keys, scores + (size_t)r * CLA_SCORE_LD,
                    &b->top[r], &ranks[(size_t)b->at[r].h * s->p->Nq + b->at[r].i]);
}

static void argmax(const cla_task *t)
{
    state s;
    state_init(&s, t);
    for (int i = 0; i < s.num_blocks; i++)
        for (int r = 0; r < s.blocks[i].rows; r++)
            t->ranks[(size_t)s.blocks[i].at[r].h * t->p->Nq + s.blocks[i].at[r].i] = 0;
    visit_tiles(&s, argmax_tile, t->ranks);
}

#endif
