/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the weights of rows come to, in one pass over the keys; see cl/attn_stats.cl for the sums.
 * Shares the tiles of block.c.
 */
#ifndef CLA_BLOCK_STATS_H
#define CLA_BLOCK_STATS_H

#include "block_score.h"

/* What has been seen of a row; the weights refer to top. */
typedef struct row_sums {
    float top, sum;
    float level; /* sum w log2 w */
    float far;   /* sum w |distance| */
    float least; /* of the best ones: a score must pass it */
} row_sums;

/* Where the numbers of a row start. */
FN int64_t stat_at(const state *s, const cla_view *view, head_row at)
{
    return view->offset + s->task->seq.b * view->stride[0] + at.h * view->stride[1]
         + (s->task->seq.q0 + at.i) * view->stride[2];
}

FN float *stat_row(const state *s, const cla_view *view, head_row at)
{
    return (float *)view->host + stat_at(s, view, at);
}

FN int32_t *best_keys_of(const state *s, head_row at)
{
    return (int32_t *)s->p->top_keys.host + stat_at(s, &s->p->top_keys, at);
}

static void start_row(const state *s, head_row at, row_sums *u)
{
    const cla_attn *p = s->p;
    *u = (row_sums){ .top = -INFINITY, .least = -INFINITY };
    for (int n = 0; n < p->tops; n++) {
        stat_row(s, &p->top, at)[n] = -INFINITY;
        best_keys_of(s, at)[n] = -1;
    }
    for (int n = 0; n < p->picks; n++)
        stat_row(s, &p->chosen, at)[n] = -INFINITY;
}

/* Scores [begin, end) of a tile, hidden ones being -inf, join the row. */
static void add_scores(const state *s, head_row at, cla_range columns, const float *x, row_sums *u)
{
    const cla_seq *seq = &s->task->seq;
    vf tops = splat(u->top), sums = { 0 }, levels = { 0 }, fars = { 0 };
    for (int c = columns.begin; c < columns.end; c += LANES)
        tops = max_keep(tops, load_f32(x + c));
    const float next = max_of(tops);
    if (next > u->top) {
        const float drop = (u->top - reference(next)) * s->to_log2;
        const float shrink = exp2_lanes(splat(drop))[0];
        u->level = shrink > 0 ? shrink * (u->level + u->sum * drop) : 0;
        u->sum *= shrink;
        u->far *= shrink;
        u->top = next;
    }
    const vf zero = splat(reference(next)), lowest = splat(-127.0f); /* of exp2_lanes() */
    vi distance; /* i + nk - nq - j */
    for (int i = 0; i < LANES; i++)
        distance[i] = at.i + seq->nk - seq->nq - (s->tile.begin + columns.begin) - i;
    for (int c = columns.begin; c < columns.end; c += LANES, distance -= LANES) {
        const vf low = max_keep((load_f32(x + c) - zero) * s->to_log2, lowest);
        const vf w = exp2_lanes(low);
        const vi negative = distance >> 31;
        sums += w;
        levels += w * low;
        fars += w * __builtin_convertvector((distance ^ negative) - negative, vf);
    }
    u->sum += sum_of(sums);
    u->level += sum_of(levels);
    u->far += sum_of(fars);
}

/* Puts scores above the least into the list of the row, behind those that are as large. */
static void keep_best(const state *s, head_row at, cla_range columns, const float *x, row_sums *u)
{
    float *list = stat_row(s, &s->p->top, at);
    int32_t *keys = best_keys_of(s, at);
    for (int c = columns.begin; c < columns.end; c++) {
        if (c % LANES == 0 && !any_above(load_f32(x + c), splat(u->least))) {
            c += LANES - 1;
            continue;
        }
        if (!(x[c] > u->least))
            continue;
        int to = s->p->tops - 1;
        for (; to > 0 && list[to - 1] < x[c]; to--) {
            list[to] = list[to - 1];
            keys[to] = keys[to - 1];
        }
        list[to] = x[c];
        keys[to] = s->tile.begin + c;
        u->least = list[s->p->tops - 1];
    }
}

/* Takes the scores of the keys that were asked for, as far as they are in the tile. */
static void keep_chosen(const state *s, const block *b, int r, cla_range keys, const float *x)
{
    const cla_view *view = &s->p->keys;
    const head_row at = b->at[r];
    const int32_t *asked = CLA_AT(const int32_t, *view) + s->task->seq.b * view->stride[0]
                         + (s->task->seq.q0 + at.i) * view->stride[1];
    const cla_range seen = intersect(keys, b->keys[r]);
    for (int n = 0; n < s->p->picks; n++)
        if (asked[n] >= seen.begin && asked[n] < seen.end)
            stat_row(s, &s->p->chosen, at)[n] = x[asked[n] - s->tile.begin];
}

static void stats_tile(const state *s, block *b, int first, cla_range keys, float *scores,
                       void *user)
{
    const cla_range columns = columns_of(s, keys);
    row_sums *rows = (row_sums *)user + first;
    for (int r = 0; r < b->rows; r++) {
        const float *x = scores + (size_t)r * CLA_SCORE_LD;
        add_scores(s, b->at[r], columns, x, &rows[r]);
        if (s->p->tops)
            keep_best(s, b->at[r], columns, x, &rows[r]);
        keep_chosen(s, b, r, keys, x);
    }
}

/* Scores to weights, 0 where there was none. */
static void end_weights(const state *s, float *x, int n, float top, float factor)
{
    const vf zero = splat(reference(top));
    for (int c = 0; c < n; c += LANES) {
        const vf score = load_first(CLATTN_F32, x + c, n - c);
        const vf w = exp2_lanes((score - zero) * s->to_log2) * factor;
        store_first(CLATTN_F32, x + c, choose(score == -INFINITY, (vf){ 0 }, w), n - c);
    }
}

/* Where a row keeps its top and factor for the means. */
FN float *row_pair(const state *s, head_row at)
{
    const cla_attn *p = s->p;
    return (float *)p->work.host + p->work_rows
         + 2 * (((size_t)s->task->seq.b * p->Hq + at.h) * p->Nq + at.i);
}

static void finish_stats(const state *s, head_row at, const row_sums *u)
{
    const cla_attn *p = s->p;
    const double base = (double)reference(u->top) * (double)s->to_log2 * LN2;
    const double total = sum_with_sink(p, at.h, base, u->sum);
    const double factor = total == 0 ? 0 : 1 / total;
    const double entropy = -factor * ((double)u->level * LN2 + (double)u->sum * log(factor));
    if (p->has_entropy)
        *stat_row(s, &p->entropy, at) = factor == 0 ? 0.0f : (float)entropy;
    if (p->has_distance)
        *stat_row(s, &p->distance, at) = (float)((double)u->far * factor);
    if (p->tops)
        end_weights(s, stat_row(s, &p->top, at), p->tops, u->top, (float)factor);
    if (p->picks)
        end_weights(s, stat_row(s, &p->chosen, at), p->picks, u->top, (float)factor);
    if (p->has_mean) {
        row_pair(s, at)[0] = u->top;
        row_pair(s, at)[1] = (float)factor;
    }
}

static void stats(const cla_task *t)
{
    row_sums rows[CLA_TASK_ROWS];
    state s;
    state_init(&s, t);
    for (int r = 0; r < t->rows; r++)
        start_row(&s, head_row_of(t, r), &rows[r]);
    visit_tiles(&s, stats_tile, rows);
    for (int r = 0; r < t->rows; r++)
        finish_stats(&s, head_row_of(t, r), &rows[r]);
}

/* The weights of a block on the keys of the tile, divided by the number of heads, join the mean. */
static void mean_tile(const state *s, block *b, int first, cla_range keys, float *scores,
                      void *user)
{
    const cla_view *mean = &s->p->mean;
    (void)first;
    (void)user;
    for (int r = 0; r < b->rows; r++) {
        const float *pair = row_pair(s, b->at[r]);
        const cla_range seen = intersect(keys, b->keys[r]);
        float *x = scores + (size_t)r * CLA_SCORE_LD + (seen.begin - s->tile.begin);
        float *out = CLA_AT(float, *mean) + s->task->seq.b * mean->stride[0]
                   + (b->at[r].i - s->p->mean_row) * mean->stride[1] + seen.begin;
        end_weights(s, x, seen.end - seen.begin, pair[0], pair[1] / (float)s->p->Hq);
        for (int j = 0; j < seen.end - seen.begin; j++)
            out[j] += x[j];
    }
}

static void mean(const cla_task *t)
{
    state s;
    state_init(&s, t);
    visit_tiles(&s, mean_tile, NULL);
}

#endif
