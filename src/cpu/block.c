/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention of a few query rows over many keys: online softmax in f32 (Milakov and
 * Gimelshein 2018; Dao 2023), in tiles of keys. Compiled once per instruction set; CLA_BLOCK_OPS
 * names the table.
 *
 * A row's result depends on its own data, the tile size and the key range of the task only: not on
 * the rows beside it, nor on the number of threads.
 */
#include "block_score.h"
#include "block_values.h"

extern const cla_block_ops CLA_BLOCK_OPS;

/*
 * The reference moves when a score passes it by 2^8, not at every new maximum: p stays below 2^9,
 * sums lose nothing, and most tiles need no rescaling.
 */
#define SLACK_LOG2 8.0f
#define LN2 0.69314718055994530942

/* -inf - -inf is NaN: a row that has seen no key refers its scores to 0. */
FN float reference(float top) { return top == -INFINITY ? 0.0f : top; }

static void move_reference(const state *s, block *b, int r, float top)
{
    const float old = b->top[r];
    b->top[r] = top;
    b->limit[r] = top + SLACK_LOG2 / s->to_log2;
    if (old == -INFINITY) /* sums are 0, or NaN to stay */
        return;
    const vf shrink = exp2_lanes(splat((old - top) * s->to_log2));
    float *o = b->o + (size_t)r * s->value_ld, *sums = b->sums + (size_t)r * LANES;
    store_f32(sums, load_f32(sums) * shrink);
    for (int c = 0; c < s->value_ld; c += LANES)
        store_f32(o + c, load_f32(o + c) * shrink);
}

/* Scores of columns [begin, end) to p in some dtype, from the start of each row: in place. */
FN void softmax_rows(const int type, const state *s, block *b, int begin, int end, float *scores)
{
    const vf to_log2 = splat(s->to_log2);
    for (int r = 0; r < b->rows; r++) {
        float *x = scores + (size_t)r * CLA_SCORE_LD;
        vf top = load_f32(x + begin);
        for (int c = begin + LANES; c < end; c += LANES)
            top = max_keep(top, load_f32(x + c));
        if (any_above(top, splat(b->limit[r])))
            move_reference(s, b, r, max_of(top));
        const vf zero = splat(reference(b->top[r]));
        vf sum = { 0 };
        for (int c = begin; c < end; c += LANES) {
            const vf p = exp2_lanes((load_f32(x + c) - zero) * to_log2);
            store(type, (char *)x + (size_t)c * bytes_of(type), p);
            sum += p;
        }
        float *sums = b->sums + (size_t)r * LANES;
        store_f32(sums, load_f32(sums) + sum);
    }
}

static void softmax_tile(const state *s, block *b, int begin, int end, float *scores)
{
    softmax_rows(CLATTN_F32, s, b, begin, end, scores);
}

/* Are all values of the tile finite? 0 times anything else is NaN. Looked at once per tile. */
static bool values_finite(state *s)
{
    tile *now = &s->tile;
    if (now->finite < 0) {
        vf zeros = { 0 };
        for (int j = now->keys.begin - now->begin; j < now->keys.end - now->begin; j++)
            for (int c = 0; c < s->value_ld; c += LANES)
                zeros += 0.0f * load_f32(now->v + j * now->v_ld + c);
        now->finite = sum_of(zeros) == 0.0f;
    }
    return now->finite;
}

/* Columns of the tile, whole panels, that hold these keys. */
FN cla_range columns_of(const state *s, cla_range keys)
{
    const int begin = keys.begin - s->tile.begin, end = keys.end - s->tile.begin;
    return (cla_range){ begin / CLA_PANEL * CLA_PANEL,
                        (end + CLA_PANEL - 1) / CLA_PANEL * CLA_PANEL };
}

/* o += p v, key by key, leaving out the keys a row does not see. */
static void add_visible_values(const state *s, block *b, cla_range keys, const float *scores)
{
    for (int r = 0; r < b->rows; r++)
        for (int key = keys.begin; key < keys.end; key++) {
            if (!sees(s, b, r, key))
                continue;
            const int j = key - s->tile.begin;
            const vf p = splat(scores[(size_t)r * CLA_SCORE_LD + j]);
            const float *v = s->tile.v + j * s->tile.v_ld;
            float *o = b->o + (size_t)r * s->value_ld;
            for (int c = 0; c < s->value_ld; c += LANES)
                store_f32(o + c, load_f32(o + c) + p * load_f32(v + c));
        }
}

static void attend_tile(state *s, block *b)
{
    const cla_range keys = intersect(b->any, s->tile.keys);
    if (keys.begin >= keys.end)
        return;
    const cla_range columns = columns_of(s, keys);
    float *scores = s->task->scratch + s->at.scores;
    const bool partial = score_tile(s, b, columns.begin, columns.end, scores);
    softmax_tile(s, b, columns.begin, columns.end, scores);
    const int j = keys.begin - s->tile.begin;
    if (s->direct && !partial) {
        direct_values(s, b, keys, scores);
        return;
    }
    if (!s->tile.v)
        tile_values(s);
    if (partial && !values_finite(s)) {
        add_visible_values(s, b, keys, scores);
        return;
    }
    b->gemm->values(scores + j, s->tile.v + j * s->tile.v_ld, s->tile.v_ld, keys.end - keys.begin,
                    b->o, s->value_ld);
}

/*
 * lse of a row, in natural units. base is its reference score. The sink is a score that joins the
 * sum and has no value.
 */
static double log_sum(const cla_attn *p, int h, double base, float sum)
{
    const double lse = sum == 0.0f ? -HUGE_VAL : base + log((double)sum);
    if (!p->has_sinks)
        return lse;
    const double sink = (double)CLA_AT(const float, p->sinks)[h];
    const double high = lse > sink ? lse : sink, low = lse > sink ? sink : lse;
    return low == -HUGE_VAL ? high : high + log1p(exp(low - high));
}

/* sum, with the sink: what the probabilities of a row are divided by. */
static double sum_with_sink(const cla_attn *p, int h, double base, float sum)
{
    if (!p->has_sinks)
        return (double)sum;
    return (double)sum + exp((double)CLA_AT(const float, p->sinks)[h] - base);
}

static void finish_row(const cla_attn *p, const cla_seq *seq, head_row at, const float *o,
                       float top, float sum, float to_log2)
{
    const double base = (double)reference(top) * (double)to_log2 * LN2;
    const int64_t n = seq->q0 + at.i;
    if (p->has_lse)
        CLA_AT(float, p->lse)[seq->b * p->lse.stride[0] + at.h * p->lse.stride[1]
                              + n * p->lse.stride[2]] = (float)log_sum(p, at.h, base, sum);
    const int64_t first = p->o.offset + seq->b * p->o.stride[0] + at.h * p->o.stride[1]
                        + n * p->o.stride[2];
    char *out = (char *)p->o.host + first * (int64_t)bytes_of(p->out_type);
    const vf factor = splat((float)(1 / sum_with_sink(p, at.h, base, sum)));
    for (int c = 0; c < p->Dv; c += LANES) {
        const vf x = sum == 0.0f ? (vf){ 0 } : load_f32(o + c) * factor;
        store_first(p->out_type, out + (size_t)c * bytes_of(p->out_type), x, p->Dv - c);
    }
}

static void finish_block(const state *s, const block *b, int first)
{
    const cla_task *t = s->task;
    for (int r = 0; r < b->rows; r++) {
        const float *o = b->o + (size_t)r * s->value_ld;
        const float sum = sum_of(load_f32(b->sums + (size_t)r * LANES));
        if (t->part_o) {
            float *stat = t->part_stat + (size_t)(first + r) * 2;
            memcpy(t->part_o + (size_t)(first + r) * s->value_ld, o, sizeof *o * s->value_ld);
            stat[0] = b->top[r];
            stat[1] = sum;
        } else {
            finish_row(s->p, &t->seq, b->at[r], o, b->top[r], sum, s->to_log2);
        }
    }
}

/* The keys that some row of the task sees. */
static cla_range keys_of_task(const state *s)
{
    cla_range any = { INT32_MAX, 0 };
    for (int i = 0; i < s->num_blocks; i++)
        any = join_ranges(any, s->blocks[i].any);
    return any;
}

static void attend(const cla_task *t)
{
    state s;
    state_init(&s, t);
    const size_t rows = (size_t)(t->rows + CLA_BLOCK_ROWS - 1) / CLA_BLOCK_ROWS * CLA_BLOCK_ROWS;
    memset(t->scratch + s.at.o, 0, rows * s.value_ld * sizeof(float));
    memset(t->scratch + s.at.sums, 0, rows * LANES * sizeof(float));
    const cla_range any = keys_of_task(&s);
    for (int begin = any.begin / s.tile_keys * s.tile_keys; begin < any.end;
         begin += s.tile_keys) {
        tile_init(&s, begin, any, true);
        for (int i = 0; i < s.num_blocks; i++)
            attend_tile(&s, &s.blocks[i]);
    }
    for (int i = 0; i < s.num_blocks; i++)
        finish_block(&s, &s.blocks[i], i * BLOCK_ROWS);
}

/* Scores of a block, row first of the task and following, against the keys of the tile that it
 * sees; -inf where a row does not. */
typedef void (*visit_scores)(const state *s, block *b, int first, cla_range keys, float *scores,
                             void *user);

/* For those that need no values: the scores of every block against every tile. */
FN void visit_tiles(state *s, visit_scores visit, void *user)
{
    const int step = s->tile_keys;
    const cla_range any = keys_of_task(s);
    float *scores = s->task->scratch + s->at.scores;
    for (int begin = any.begin / step * step; begin < any.end; begin += step) {
        tile_init(s, begin, any, false);
        for (int i = 0; i < s->num_blocks; i++) {
            block *b = &s->blocks[i];
            const cla_range keys = intersect(b->any, s->tile.keys);
            const cla_range columns = columns_of(s, keys);
            if (keys.begin >= keys.end)
                continue;
            score_tile(s, b, columns.begin, columns.end, scores);
            visit(s, b, i * BLOCK_ROWS, keys, scores, user);
        }
    }
}

/* Sums of the parts, each weighted by 2^(its reference - the highest). An empty part weighs 0. */
static void join(const cla_task *t, int r, int count, size_t part_rows)
{
    const cla_attn *p = t->p;
    const int ld = cla_value_ld(p);
    const float to_log2 = scores_to_log2(p);
    float *o = t->scratch + cla_scratch_of(p, t->rows, t->tile_keys).o;
    float top = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++) {
        const float *stat = t->part_stat + ((size_t)i * part_rows + r) * 2;
        top = stat[1] != 0.0f && !(stat[0] <= top) ? stat[0] : top;
    }
    memset(o, 0, sizeof *o * (size_t)ld);
    for (int i = 0; i < count; i++) {
        const size_t row = (size_t)i * part_rows + r;
        const float *part = t->part_o + row * ld, *stat = t->part_stat + row * 2;
        const float drop = (reference(stat[0]) - reference(top)) * to_log2;
        const vf weight = stat[1] == 0.0f ? (vf){ 0 } : exp2_lanes(splat(drop));
        sum += stat[1] * weight[0];
        for (int c = 0; c < ld; c += LANES)
            store_f32(o + c, load_f32(o + c) + weight * load_f32(part + c));
    }
    finish_row(p, &t->seq, head_row_of(t, r), o, top, sum, to_log2);
}

#include "block_argmax.h" /* shares the tiles above, and no more */
#if defined(__AMX_BF16__)
#include "block_amx.h" /* shares scores and softmax */
#endif

/* ------------------------------------------------------------------------------------------ */
/* Probabilities                                                                              */

static float *probs_row(const state *s, const block *b, int r)
{
    const cla_view *probs = &s->p->probs;
    return CLA_AT(float, *probs) + s->task->seq.b * probs->stride[0]
         + (b->at[r].h - s->p->probs_head) * probs->stride[1]
         + (b->at[r].i - s->p->probs_row) * probs->stride[2];
}

/* n <= LANES scores, then -inf. */
FN vf load_scores(const float *x, int n)
{
    vf scores = load_first(CLATTN_F32, x, n);
    for (int i = n; i < LANES; i++)
        scores[i] = -INFINITY;
    return scores;
}

/* A row that sees a NaN: NaN where it sees keys, 0 elsewhere. */
static void output_nans(const state *s, const block *b, int r, float *out)
{
    for (int key = b->keys[r].begin; key < b->keys[r].end; key++)
        out[key] = sees(s, b, r, key) ? NAN : 0.0f;
}

/*
 * The scores of a row, in its output, to probabilities. The sum is taken afresh: lse as it is
 * stored has too few digits for large scores.
 */
static void normalize_row(const state *s, const block *b, int r, float *out)
{
    float *x = out + b->keys[r].begin;
    const int n = b->keys[r].end - b->keys[r].begin;
    vf tops = splat(-INFINITY), sums = { 0 };
    for (int c = 0; c < n; c += LANES)
        tops = max_keep(tops, load_scores(x + c, n - c));
    const float zero = reference(max_of(tops));
    for (int c = 0; c < n; c += LANES)
        sums += exp2_lanes((load_scores(x + c, n - c) - zero) * s->to_log2);
    const double base = (double)zero * (double)s->to_log2 * LN2;
    const double total = sum_with_sink(s->p, b->at[r].h, base, sum_of(sums));
    if (isnan(total)) {
        output_nans(s, b, r, out);
        return;
    }
    const vf factor = splat(total > 0 ? (float)(1 / total) : 0.0f);
    for (int c = 0; c < n; c += LANES) {
        const vf p = exp2_lanes((load_scores(x + c, n - c) - zero) * s->to_log2) * factor;
        store_first(CLATTN_F32, x + c, p, n - c);
    }
}

/* Scores of a block against the tile, into the rows of the output. */
static void output_scores(const state *s, block *b, int first, cla_range keys, float *scores,
                          void *user)
{
    const int zero = s->tile.begin;
    (void)first;
    (void)user;
    for (int r = 0; r < b->rows; r++) {
        const cla_range seen = intersect(keys, b->keys[r]);
        memcpy(probs_row(s, b, r) + seen.begin,
               scores + (size_t)r * CLA_SCORE_LD + (seen.begin - zero),
               sizeof *scores * (size_t)(seen.end - seen.begin));
    }
}

static void probs(const cla_task *t)
{
    state s;
    state_init(&s, t);
    visit_tiles(&s, output_scores, NULL);
    for (int i = 0; i < s.num_blocks; i++)
        for (int r = 0; r < s.blocks[i].rows; r++) {
            const cla_range keys = s.blocks[i].keys[r];
            float *out = probs_row(&s, &s.blocks[i], r);
            normalize_row(&s, &s.blocks[i], r, out);
            memset(out, 0, sizeof *out * (size_t)keys.begin);
            memset(out + keys.end, 0, sizeof *out * (size_t)(t->p->Nk - keys.end));
        }
}

#include "block_stats.h"

/* ------------------------------------------------------------------------------------------ */
/* Peaks                                                                                      */

/* As many independent sums as the blocks have, so that latency is hidden and nothing spills. */
static double multiply_add_rate(long n)
{
    volatile float shrink = 0.5f, grow = 1.0f;
    const vf a = splat(shrink), b = splat(grow);
    vf sum[2 * BLOCK_ROWS];
    UNROLL
    for (int r = 0; r < 2 * BLOCK_ROWS; r++)
        sum[r] = splat((float)r); /* equal ones would be merged */
    for (long i = 0; i < n; i++) {
        UNROLL
        for (int r = 0; r < 2 * BLOCK_ROWS; r++)
            sum[r] = sum[r] * a + b;
    }
    volatile float keep = 0;
    UNROLL
    for (int r = 0; r < 2 * BLOCK_ROWS; r++)
        keep = keep + sum_of(sum[r]);
    return 2.0 * (2 * BLOCK_ROWS) * LANES * (double)n;
}

static float read_floats(const float *p, size_t n)
{
    vf sum[4] = { { 0 } };
    for (size_t i = 0; i < n; i += 4 * LANES)
        for (int j = 0; j < 4; j++)
            sum[j] += load_f32(p + i + j * LANES);
    return sum_of(sum[0] + sum[1] + sum[2] + sum[3]);
}

const cla_block_ops CLA_BLOCK_OPS = {
    .pack_keys = pack_keys,
    .attend = attend,
    .join = join,
    .argmax = argmax,
    .probs = probs,
    .stats = stats,
    .mean = mean,
    .multiply_add_rate = multiply_add_rate,
    .read = read_floats,
#if defined(__AMX_BF16__)
    .wide = {
        .begin = wide_begin,
        .end = wide_end,
        .pack = pack_wide,
        .attend = attend_wide,
        .multiply_add_rate = wide_rate,
    },
#endif
};
