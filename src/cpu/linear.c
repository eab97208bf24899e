/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear attention on all cores. Causal: each core walks segments of sequences, chunk by chunk, the
 * state going along. Not causal: first the state of all keys, then the rows. Sequences are cut into
 * several segments only where there are too few heads for the cores; their states are then made
 * first, and summed in order.
 */
#include "linear.h"

#include <math.h>
#include <string.h>

#include "isa.h"
#include "layout.h"

extern const cla_linear_ops cla_linear_ops_portable, cla_linear_ops_avx2, cla_linear_ops_avx512,
    cla_linear_ops_neon;

const cla_linear_ops *cla_linear_ops_of(cla_isa isa)
{
    static const cla_linear_ops *const tables[] = CLA_TABLES(cla_linear_ops, cla_linear_ops_avx512);
    return tables[isa];
}

int cla_linear_key_ld(const cla_linear *p)
{
    return (p->D + 15) / 16 * 16;
}

int cla_linear_value_ld(const cla_linear *p)
{
    return (p->Dv + 15) / 16 * 16;
}

/* ---- features of single rows ---- */

cla_pair cla_pair_first(const cla_linear *p)
{
    return (cla_pair){ p->D, p->D, p->c };
}

cla_pair cla_pair_next(const cla_linear *p, cla_pair x)
{
    const int D = p->D;
    const float root2 = 1.41421356f;
    if (x.a == D)
        return (cla_pair){ 0, D, sqrtf(2.0f * p->c) };
    if (x.b == D)
        return x.a + 1 < D ? (cla_pair){ x.a + 1, D, x.factor } : (cla_pair){ 0, 0, 1.0f };
    if (x.a == x.b)
        return x.a + 1 < D ? (cla_pair){ x.a + 1, x.a + 1, 1.0f } : (cla_pair){ 0, 1, root2 };
    return x.b + 1 < D ? (cla_pair){ x.a, x.b + 1, root2 } : (cla_pair){ x.a + 1, x.a + 2, root2 };
}

static float map_one(int map, float x)
{
    switch (map) {
    case CLATTN_MAP_RELU: return x < 0 ? 0 : x;
    case CLATTN_MAP_ELU1: return x > 0 ? x + 1 : expf(x);
    case CLATTN_MAP_EXP: return expf(x);
    default: return x;
    }
}

void cla_linear_map_row(const cla_linear *p, const cla_view *view, int64_t at, float factor,
                        float *out)
{
    const size_t size = clattn_dtype_size((clattn_dtype)p->in_type);
    clattn_to_f32((clattn_dtype)p->in_type, (const char *)view->host + (size_t)at * size, out,
                  (size_t)p->D);
    for (int d = 0; d < p->D; d++)
        out[d] = map_one(p->map, out[d] * factor);
    out[p->D] = 1.0f;
}

/* ---- workspace ---- */

static size_t place(size_t *at, size_t floats)
{
    const size_t here = *at;
    *at += (floats + 15) / 16 * 16;
    return here;
}

static bool is_step(const cla_linear *p)
{
    return p->Nq == 1 && p->Nk == 1 && !p->ragged && !p->quadratic;
}

static cla_linear_scratch scratch_of(const cla_linear *p, int chunk)
{
    cla_linear_scratch s = { 0 };
    const size_t D = (size_t)p->D, G = (size_t)p->G, rows = (size_t)chunk;
    const size_t made = p->map == CLATTN_MAP_POLY2 ? CLA_LINEAR_MADE : 0;
    if (is_step(p)) {
        s.q = place(&s.total, G * (D + 1));
        s.k = place(&s.total, D + 1);
        s.values = place(&s.total, CLA_LINEAR_COLUMNS);
        s.sums = place(&s.total, G * CLA_LINEAR_COLUMNS);
        s.den = place(&s.total, 2 * G); /* doubles */
        s.weights = place(&s.total, G);
        return s;
    }
    const size_t ld = (size_t)cla_linear_value_ld(p), key_ld = (size_t)cla_linear_key_ld(p);
    s.q = place(&s.total, rows * key_ld);
    s.k = place(&s.total, rows * key_ld);
    s.q_columns = place(&s.total, p->map == CLATTN_MAP_POLY2 ? CLA_LINEAR_LD * D : 0);
    s.k_columns = place(&s.total, CLA_LINEAR_LD * D);
    s.made = place(&s.total, CLA_LINEAR_LD * made);
    s.values = place(&s.total, rows * ld);
    s.sums = place(&s.total, rows * ld);
    s.den = place(&s.total, rows * CLA_LINEAR_LANES);
    s.weights = place(&s.total, CLA_LINEAR_LD * 16);
    s.z = place(&s.total, cla_linear_cancels(p) ? 4 * key_ld : 0);
    return s;
}

static size_t state_floats(const cla_linear *p)
{
    return (size_t)p->F * cla_linear_value_ld(p) + ((size_t)p->F + 15) / 16 * 16;
}

/* One for each segment, and for each head a sum of them where there are several. */
static size_t num_states(const cla_linear *p)
{
    const size_t heads = (size_t)p->B * p->Hk;
    return !p->states ? 0 : p->segs > 1 ? heads * (p->segs + 1) : heads;
}

size_t cla_cpu_linear_bind(cla_linear *p, const int *t)
{
    const int chunk = t[CLA_LINEAR_CHUNK], segs = p->quadratic ? 1 : t[CLA_LINEAR_SEGS];
    const int64_t keys = ((int64_t)p->Nk + segs - 1) / segs;
    const int64_t whole = (keys + chunk - 1) / chunk * chunk;
    p->seg_keys = (int32_t)(whole > 0 ? whole : chunk);
    p->segs = p->Nk > p->seg_keys ? (p->Nk + p->seg_keys - 1) / p->seg_keys : 1;
    p->states = !p->quadratic && !is_step(p);
    p->work_state = 0;
    return (num_states(p) * state_floats(p)
            + scratch_of(p, chunk).total * (size_t)cla_scratch_slots())
         * sizeof(float);
}

/* ---- one call ---- */

typedef struct call {
    const cla_linear *p;
    const cla_linear_ops *ops;
    cla_linear_scratch at;
    float *states, *scratch; /* scratch of all threads */
    size_t state;            /* floats of one */
    int chunk, threads;
} call;

static int clamp(int x, int low, int high)
{
    return x < low ? low : x > high ? high : x;
}

static cla_linear_seq seq_of(const cla_linear *p, int b)
{
    cla_linear_seq s = { b, 0, p->Nq, 0, p->Nk };
    if (!p->ragged)
        return s;
    /* Clamped like ragged_seq() in cl/linear.clh: no contents may lead outside the tensors. */
    const int32_t *cu_q = CLA_AT(const int32_t, p->cu_q), *cu_k = CLA_AT(const int32_t, p->cu_k);
    s.q0 = clamp(cu_q[b], 0, p->Tq);
    s.nq = clamp(clamp(cu_q[b + 1], s.q0, p->Tq) - s.q0, 0, p->Nq);
    s.k0 = clamp(cu_k[b], 0, p->Tk);
    s.nk = clamp(clamp(cu_k[b + 1], s.k0, p->Tk) - s.k0, 0, p->Nk);
    return s;
}

static int segs_of(const cla_linear *p, const cla_linear_seq *s)
{
    return s->nk > p->seg_keys ? (s->nk + p->seg_keys - 1) / p->seg_keys : 1;
}

static float *state_of(const call *c, int b, int hk, int seg)
{
    const cla_linear *p = c->p;
    const size_t per_head = p->segs > 1 ? (size_t)p->segs + 1 : 1;
    return c->states + (((size_t)b * p->Hk + hk) * per_head + seg) * c->state;
}

static cla_linear_task task_of(const call *c, int b, int hk)
{
    return (cla_linear_task){ .p = c->p, .seq = seq_of(c->p, b), .hk = hk, .chunk = c->chunk,
                              .key_ld = cla_linear_key_ld(c->p),
                              .value_ld = cla_linear_value_ld(c->p), .at = c->at,
                              .scratch = c->scratch + c->at.total * cla_thread_id() };
}

static int64_t head_at(const cla_view *view, int64_t b, int64_t h)
{
    return view->offset + b * view->stride[0] + h * view->stride[1];
}

/* The caller's state, or 0. */
static void start_state(const cla_linear *p, int b, int hk, float *state)
{
    const size_t ld = (size_t)cla_linear_value_ld(p);
    memset(state, 0, state_floats(p) * sizeof *state);
    if (!p->has_in)
        return;
    const float *kv = (const float *)p->in_kv.host + head_at(&p->in_kv, b, hk);
    for (int f = 0; f < p->F; f++)
        memcpy(state + f * ld, kv + f * p->in_kv.stride[2], (size_t)p->Dv * sizeof *kv);
    memcpy(state + p->F * ld, (const float *)p->in_z.host + head_at(&p->in_z, b, hk),
           (size_t)p->F * sizeof *kv);
}

static void hand_out_state(const cla_linear *p, int b, int hk, const float *state)
{
    const size_t ld = (size_t)cla_linear_value_ld(p);
    if (!p->has_out)
        return;
    float *kv = (float *)p->out_kv.host + head_at(&p->out_kv, b, hk);
    for (int f = 0; f < p->F; f++)
        memcpy(kv + f * p->out_kv.stride[2], state + f * ld, (size_t)p->Dv * sizeof *kv);
    memcpy((float *)p->out_z.host + head_at(&p->out_z, b, hk), state + p->F * ld,
           (size_t)p->F * sizeof *kv);
}

/* The sums of a segment; with the state before where there is no other segment. */
static void sum_segment(const call *c, int b, int hk, int seg)
{
    const cla_linear *p = c->p;
    cla_linear_task t = task_of(c, b, hk);
    const int count = segs_of(p, &t.seq);
    if (seg >= count || (p->causal && !p->has_out && seg + 1 == count))
        return;
    t.state = state_of(c, b, hk, seg);
    t.first = seg * p->seg_keys;
    t.end = t.first + p->seg_keys < t.seq.nk ? t.first + p->seg_keys : t.seq.nk;
    if (p->segs == 1)
        start_state(p, b, hk, t.state);
    else
        memset(t.state, 0, c->state * sizeof *t.state);
    c->ops->add_keys(&t);
    if (p->segs == 1)
        hand_out_state(p, b, hk, t.state);
}

enum { RANGE = 1 << 14 }; /* floats of a state that are summed as one unit of work */

/*
 * A range of the states of one head: sums of segments become the state before each of them. The
 * state behind the last one, which held the caller's, becomes that of all keys.
 */
static void pass_range(const call *c, int b, int hk, size_t first)
{
    const cla_linear *p = c->p;
    const cla_linear_seq seq = seq_of(p, b);
    const int count = segs_of(p, &seq);
    const size_t n = c->state - first < RANGE ? c->state - first : RANGE;
    float *total = state_of(c, b, hk, p->segs) + first;
    for (int s = 0; s < count; s++) {
        float *state = state_of(c, b, hk, s) + first;
        if (p->causal && !p->has_out && s + 1 == count) { /* nobody summed it */
            memcpy(state, total, n * sizeof *state);
            return;
        }
        for (size_t i = 0; i < n; i++) {
            const float own = state[i];
            state[i] = total[i];
            total[i] += own;
        }
    }
}

static void walk_segment(const call *c, int b, int hk, int seg)
{
    const cla_linear *p = c->p;
    cla_linear_task t = task_of(c, b, hk);
    const int rows = t.seq.nq > t.seq.nk ? t.seq.nq : t.seq.nk;
    t.state = state_of(c, b, hk, seg);
    t.first = seg * p->seg_keys;
    t.end = rows - t.first < p->seg_keys ? rows : t.first + p->seg_keys;
    t.keep = p->has_out && p->segs == 1;
    if (p->segs == 1)
        start_state(p, b, hk, t.state);
    if (t.first < t.end)
        c->ops->walk(&t);
    if (p->segs == 1)
        hand_out_state(p, b, hk, t.state);
}

/*
 * Rows of one unit of work, whole chunks: enough of them that handing out units costs nothing, as
 * long as there are several units for each thread.
 */
static int64_t unit_rows(const call *c)
{
    const cla_linear *p = c->p;
    const int64_t chunks = ((int64_t)p->Nq + c->chunk - 1) / c->chunk;
    const int64_t share = (int64_t)p->B * p->Hq * chunks / (8 * c->threads);
    return c->chunk * (share < 1 ? 1 : share < 16 ? share : 16);
}

static void do_rows(const call *c, int b, int h, int64_t unit)
{
    const cla_linear *p = c->p;
    cla_linear_task t = task_of(c, b, h / p->G);
    t.h = h;
    t.state = p->quadratic ? NULL : state_of(c, b, t.hk, p->segs > 1 ? p->segs : 0);
    const int64_t rows = unit_rows(c), first = unit * rows;
    if (first >= t.seq.nq)
        return;
    t.first = (int)first;
    t.end = t.seq.nq - first < rows ? t.seq.nq : (int)(first + rows);
    c->ops->rows(&t);
}

/* ---- threads ---- */

/* Calls do_unit(c, b, h, i) for all b < B, h < heads, i < n, on all threads. */
static void for_all(const call *c, int heads, int64_t n,
                    void (*do_unit)(const call *c, int b, int h, int64_t i))
{
    const int64_t units = (int64_t)c->p->B * heads * n;
#pragma omp parallel num_threads(c->threads) if (c->threads > 1)
    {
        const unsigned saved = cla_drop_subnormals();
#pragma omp for schedule(dynamic)
        for (int64_t u = 0; u < units; u++)
            do_unit(c, (int)(u / n / heads), (int)(u / n % heads), u % n);
        cla_keep_subnormals(saved);
    }
}

static void sum_unit(const call *c, int b, int hk, int64_t seg)
{
    sum_segment(c, b, hk, (int)seg);
}

static void start_unit(const call *c, int b, int hk, int64_t i)
{
    (void)i;
    start_state(c->p, b, hk, state_of(c, b, hk, c->p->segs));
}

static void pass_unit(const call *c, int b, int hk, int64_t range)
{
    pass_range(c, b, hk, (size_t)range * RANGE);
}

static void hand_out_unit(const call *c, int b, int hk, int64_t i)
{
    (void)i;
    hand_out_state(c->p, b, hk, state_of(c, b, hk, c->p->segs));
}

static void walk_unit(const call *c, int b, int hk, int64_t seg)
{
    walk_segment(c, b, hk, (int)seg);
}

static void step_unit(const call *c, int b, int hk, int64_t slice)
{
    cla_linear_task t = task_of(c, b, hk);
    t.first = (int)slice * CLA_LINEAR_COLUMNS;
    t.end = c->p->Dv - t.first < CLA_LINEAR_COLUMNS ? c->p->Dv : t.first + CLA_LINEAR_COLUMNS;
    c->ops->step(&t);
}

/* After all slices: they read z_in, which may be the same memory. */
static void step_z_unit(const call *c, int b, int hk, int64_t i)
{
    const cla_linear *p = c->p;
    float *k = c->scratch + c->at.total * cla_thread_id() + c->at.k;
    const float *in = p->has_in ? (float *)p->in_z.host + head_at(&p->in_z, b, hk) : NULL;
    float *out = (float *)p->out_z.host + head_at(&p->out_z, b, hk);
    cla_pair pair = cla_pair_first(p);
    (void)i;
    cla_linear_map_row(p, &p->k, head_at(&p->k, b, hk), 1.0f, k);
    for (int f = 0; f < p->F; f++) {
        out[f] = cla_linear_feature(p, k, pair, f) + (in ? in[f] : 0.0f);
        pair = cla_pair_next(p, pair);
    }
}

static void do_step(const call *c)
{
    const cla_linear *p = c->p;
    for_all(c, p->Hk, (p->Dv + CLA_LINEAR_COLUMNS - 1) / CLA_LINEAR_COLUMNS, step_unit);
    if (p->has_out)
        for_all(c, p->Hk, 1, step_z_unit);
}

/* The states of all segments, or of all keys. */
static void make_states(const call *c)
{
    const cla_linear *p = c->p;
    if (p->causal && p->segs == 1)
        return; /* the walk starts from the caller's */
    for_all(c, p->Hk, p->segs, sum_unit);
    if (p->segs == 1)
        return;
    for_all(c, p->Hk, 1, start_unit);
    for_all(c, p->Hk, (int64_t)((c->state + RANGE - 1) / RANGE), pass_unit);
    for_all(c, p->Hk, 1, hand_out_unit);
}

static double multiply_adds(const cla_linear *p)
{
    const double rows = (double)p->B * ((double)p->Hq * p->Nq + (double)p->Hk * p->Nk);
    return p->quadratic ? (double)p->B * p->Hq * p->Nq * p->Nk * ((double)p->D + p->Dv)
                        : rows * p->F * p->Dv;
}

clattn_status cla_cpu_linear(cla_cpu *cpu, const cla_linear *p, const int *t)
{
    call c = { .p = p, .ops = cla_linear_ops_of(cpu->isa), .chunk = t[CLA_LINEAR_CHUNK] };
    c.state = state_floats(p);
    c.at = scratch_of(p, c.chunk);
    c.states = (float *)p->work.host + p->work_state;
    c.scratch = c.states + num_states(p) * c.state;
    c.threads = cla_threads(cpu, multiply_adds(p));
    if (is_step(p)) {
        do_step(&c);
        return CLATTN_OK;
    }
    if (!p->quadratic)
        make_states(&c);
    if (p->causal && !p->quadratic)
        for_all(&c, p->Hk, p->segs, walk_unit);
    else
        for_all(&c, p->Hq, (p->Nq + unit_rows(&c) - 1) / unit_rows(&c), do_rows);
    return CLATTN_OK;
}
