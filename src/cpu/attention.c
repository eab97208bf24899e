/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax attention on all cores: keys are packed once per call, then tasks of query rows are
 * handed out. Where all rows of a key head fit one task, as in decoding, keys are read once, in
 * place, and split over several tasks whose results are joined in order.
 *
 * What is split, and where, follows from a sequence's own Nq, Nk and G, so that its result depends
 * neither on the rest of the batch nor on the number of threads.
 */
#include "layout.h"

static int clamp(int x, int low, int high)
{
    return x < low ? low : x > high ? high : x;
}

cla_seq cla_seq_of(const cla_attn *p, int b)
{
    cla_seq s = { b, 0, p->Nq, 0, p->Nk };
    if (p->has_lengths)
        s.nk = clamp(CLA_AT(const int32_t, p->lengths)[b * p->lengths.stride[0]], 0, p->Nk);
    if (!p->ragged)
        return s;
    /* Clamped like seq_length() in cl/attn.clh: no contents may lead outside the tensors. */
    const int32_t *cu_q = CLA_AT(const int32_t, p->cu_q), *cu_k = CLA_AT(const int32_t, p->cu_k);
    s.q0 = clamp(cu_q[b], 0, p->Tq);
    s.nq = clamp(cu_q[b + 1], s.q0, p->Tq) - s.q0;
    s.nq = s.nq < p->Nq ? s.nq : p->Nq;
    s.k0 = clamp(cu_k[b], 0, p->Tk);
    s.nk = clamp(cu_k[b + 1], s.k0, p->Tk) - s.k0;
    s.nk = s.nk < p->Nk ? s.nk : p->Nk;
    return s;
}

cla_range cla_keys_of_row(const cla_attn *p, const cla_seq *seq, int i)
{
    const int same = i + seq->nk - seq->nq; /* the key that lines up with the row */
    int begin = same - p->left, end = same + p->right + 1;
    if (p->causal == CLATTN_CAUSAL_TOP_LEFT && end > i + 1)
        end = i + 1;
    if (p->causal == CLATTN_CAUSAL_BOTTOM_RIGHT && end > same + 1)
        end = same + 1;
    begin = begin > 0 ? begin : 0;
    end = end < seq->nk ? end : seq->nk;
    return (cla_range){ begin, end > begin ? end : begin };
}

/* One call. */
typedef struct call {
    const cla_attn *p;
    const cla_block_ops *ops;
    cla_layout at;
    float *work;
    cla_attn_sizes sizes;
    int64_t tasks; /* of one key head, at most */
} call;

static size_t rows_of(const call *c, const cla_seq *seq)
{
    return (size_t)c->p->G * seq->nq;
}

static bool is_packed(const call *c, const cla_seq *seq)
{
    return rows_of(c, seq) > (size_t)(c->sizes.wide ? CLA_SPLIT_ROWS : c->sizes.rows);
}

/* Parts the keys of a sequence are split into; 1: not split. */
static int parts_of(const call *c, const cla_seq *seq)
{
    if (rows_of(c, seq) > CLA_SPLIT_ROWS || seq->nk <= c->sizes.split)
        return 1;
    return (seq->nk + c->sizes.split - 1) / c->sizes.split;
}

static int panel_keys(const call *c)
{
    return c->sizes.wide ? CLA_WIDE_KEYS : CLA_PANEL;
}

/* Number of the first panel of a sequence and head. */
static size_t first_panel(const call *c, const cla_seq *seq, int hk)
{
    return c->at.panels * hk
         + (c->p->ragged ? (size_t)(seq->k0 / panel_keys(c)) + seq->b
                         : c->at.panels / c->p->B * seq->b);
}

static float *panels_of(const call *c, const cla_seq *seq, int hk)
{
    return c->work + c->at.keys + first_panel(c, seq, hk) * CLA_PANEL * (size_t)c->p->D;
}

static cla_wide wide_of(const call *c, const cla_seq *seq, int hk)
{
    const size_t panel = first_panel(c, seq, hk);
    return (cla_wide){
        .keys = (char *)(c->work + c->at.keys) + panel * cla_wide_key_bytes(c->p),
        .values = (char *)(c->work + c->at.values) + panel * cla_wide_value_bytes(c->p),
        .finite = (unsigned char *)(c->work + c->at.finite) + panel,
    };
}

/* Task number n of key head hk of a sequence; false when it has none. */
static bool make_task(const call *c, int b, int hk, int64_t n, cla_task *t)
{
    const cla_attn *p = c->p;
    *t = (cla_task){ .p = p, .seq = cla_seq_of(p, b), .hk = hk };
    t->tile_keys = is_packed(c, &t->seq) ? c->sizes.keys : c->sizes.few_keys;
    const size_t rows = rows_of(c, &t->seq);
    const int parts = parts_of(c, &t->seq);
    t->keys = (cla_range){ 0, t->seq.nk };
    t->scratch = c->work + c->at.scratch + c->at.slot * cla_thread_id();
    if (parts > 1) {
        if (n >= parts)
            return false;
        const size_t part = ((size_t)b * p->Hk + hk) * c->at.splits + n;
        t->rows = (int)rows;
        t->keys.begin = (int)n * c->sizes.split;
        t->keys.end = n + 1 < parts ? t->keys.begin + c->sizes.split : t->seq.nk;
        t->part_o = c->work + c->at.part_o + part * c->at.part_rows * cla_value_ld(p);
        t->part_stat = c->work + c->at.part_stat + part * c->at.part_rows * 2;
        return rows > 0;
    }
    /* The last rows first: with a causal mask they have the most to do. */
    const size_t most = (size_t)c->sizes.rows;
    const int64_t tasks = (int64_t)((rows + most - 1) / most);
    if (n >= tasks)
        return false;
    const size_t row = (size_t)(tasks - 1 - n) * most;
    t->row = (int64_t)row;
    t->rows = (int)(rows - row < most ? rows - row : most);
    if (is_packed(c, &t->seq) && c->sizes.wide)
        t->wide = wide_of(c, &t->seq, hk);
    else if (is_packed(c, &t->seq))
        t->panels = panels_of(c, &t->seq, hk);
    return true;
}

enum { PACK_PANELS = 16 }; /* panels packed as one unit of work */

static void pack_unit(const call *c, int b, int hk, int unit)
{
    const cla_seq seq = cla_seq_of(c->p, b);
    const int panels = (seq.nk + panel_keys(c) - 1) / panel_keys(c), first = unit * PACK_PANELS;
    if (!is_packed(c, &seq) || first >= panels)
        return;
    const int count = panels - first < PACK_PANELS ? panels - first : PACK_PANELS;
    if (c->sizes.wide) {
        const cla_wide to = wide_of(c, &seq, hk);
        c->ops->wide.pack(c->p, &seq, hk, first, count, &to);
        return;
    }
    c->ops->pack_keys(c->p, &seq, hk, first, count,
                      panels_of(c, &seq, hk) + (size_t)first * CLA_PANEL * c->p->D);
}

static void attend_unit(const call *c, int b, int hk, int64_t unit)
{
    cla_task task;
    if (!make_task(c, b, hk, unit, &task))
        return;
    if (task.wide.keys)
        c->ops->wide.attend(&task);
    else
        c->ops->attend(&task);
}

static void join_unit(const call *c, int b, int hk, int row)
{
    cla_task task;
    const cla_seq seq = cla_seq_of(c->p, b);
    const int parts = parts_of(c, &seq);
    if (parts > 1 && make_task(c, b, hk, 0, &task) && row < task.rows)
        c->ops->join(&task, row, parts, c->at.part_rows);
}

static void run(const call *c, int threads)
{
    const cla_attn *p = c->p;
    const int64_t heads = (int64_t)p->B * p->Hk;
    const int64_t pack = c->at.packs ? (p->Nk - 1) / (panel_keys(c) * PACK_PANELS) + 1 : 0;
    const int64_t join = c->at.splits > 1 ? (int64_t)c->at.part_rows : 0;
    (void)threads; /* without OpenMP */
#pragma omp parallel num_threads(threads)
    {
        const unsigned saved = cla_drop_subnormals();
        if (c->sizes.wide)
            c->ops->wide.begin();
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < heads * pack; i++)
            pack_unit(c, (int)(i / pack / p->Hk), (int)(i / pack % p->Hk), (int)(i % pack));
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < heads * c->tasks; i++)
            attend_unit(c, (int)(i / c->tasks / p->Hk), (int)(i / c->tasks % p->Hk), i % c->tasks);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < heads * join; i++)
            join_unit(c, (int)(i / join / p->Hk), (int)(i / join % p->Hk), (int)(i % join));
        if (c->sizes.wide)
            c->ops->wide.end();
        cla_keep_subnormals(saved);
    }
}

static clattn_status attend(cla_cpu *cpu, const cla_attn *p, const cla_attn_sizes *sizes)
{
    call c = {
        .p = p,
        .ops = cla_block_ops_of(cpu->isa),
        .at = cla_layout_of(p, sizes),
        .work = (float *)p->work.host + p->work_v,
        .sizes = *sizes,
    };
    const int64_t rows = (int64_t)p->G * p->Nq;
    c.tasks = (rows + sizes->rows - 1) / sizes->rows;
    c.tasks = c.tasks > c.at.splits ? c.tasks : c.at.splits;
    const double work = (double)p->B * p->Hk * (double)rows * p->Nk * (p->D + p->Dv);
    run(&c, cla_threads(cpu, work));
    return CLATTN_OK;
}

clattn_status cla_cpu_attention(cla_cpu *cpu, const cla_attn *p, const int *t)
{
    const cla_attn_sizes sizes = cla_native_sizes(t);
    return attend(cpu, p, &sizes);
}

clattn_status cla_cpu_attention_wide(cla_cpu *cpu, const cla_attn *p, const int *t)
{
    const cla_attn_sizes sizes = cla_wide_sizes(t);
    return attend(cpu, p, &sizes);
}
