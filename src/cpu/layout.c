/* SPDX-License-Identifier: Apache-2.0 */
/* How the workspace of native attention is divided, and how many threads it is for. */
#include "layout.h"

#include <stdatomic.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

int cla_value_ld(const cla_attn *p)
{
    return (p->Dv + CLA_PANEL - 1) / CLA_PANEL * CLA_PANEL;
}

static size_t place(size_t *at, size_t floats)
{
    const size_t here = *at;
    *at += (floats + 15) / 16 * 16;
    return here;
}

cla_scratch cla_scratch_of(const cla_attn *p, int rows, int tile_keys)
{
    cla_scratch s = { 0 };
    const size_t blocks = (size_t)(rows + CLA_BLOCK_ROWS - 1) / CLA_BLOCK_ROWS;
    const size_t value_ld = (size_t)cla_value_ld(p), D = (size_t)p->D;
    const size_t padded_D = (D + CLA_PANEL - 1) / CLA_PANEL * CLA_PANEL;
    s.scores = place(&s.total, (size_t)CLA_BLOCK_ROWS * CLA_SCORE_LD);
    s.q = place(&s.total, blocks * CLA_PANEL * padded_D);
    s.o = place(&s.total, blocks * CLA_BLOCK_ROWS * value_ld);
    s.sums = place(&s.total, blocks * CLA_BLOCK_ROWS * CLA_PANEL);
    s.keys = place(&s.total, (size_t)tile_keys * D);
    s.values = place(&s.total, (size_t)tile_keys * value_ld);
    return s;
}

size_t cla_wide_row_bytes(const cla_attn *p)
{
    return ((size_t)p->D + 31) / 32 * 32 * sizeof(uint16_t);
}

size_t cla_wide_key_bytes(const cla_attn *p)
{
    return CLA_WIDE_KEYS * cla_wide_row_bytes(p);
}

size_t cla_wide_value_bytes(const cla_attn *p)
{
    return CLA_WIDE_KEYS * (size_t)cla_value_ld(p) * sizeof(uint16_t);
}

cla_scratch cla_wide_scratch_of(const cla_attn *p, int rows, int tile_keys)
{
    cla_scratch s = { 0 };
    const size_t whole = (size_t)(rows + CLA_WIDE_ROWS - 1) / CLA_WIDE_ROWS * CLA_WIDE_ROWS;
    const size_t value_ld = (size_t)cla_value_ld(p);
    s.scores = place(&s.total, (size_t)CLA_WIDE_ROWS * CLA_SCORE_LD);
    s.q = place(&s.total, whole * cla_wide_row_bytes(p) / sizeof(float));
    s.o = place(&s.total, whole * value_ld);
    s.sums = place(&s.total, whole * CLA_PANEL);
    s.values = place(&s.total, (size_t)tile_keys * value_ld);
    return s;
}

cla_attn_sizes cla_native_sizes(const int *t)
{
    return (cla_attn_sizes){ .rows = t[CLA_NATIVE_ROWS],
                             .keys = t[CLA_NATIVE_KEYS],
                             .few_keys = t[CLA_NATIVE_KEYS],
                             .split = t[CLA_NATIVE_SPLIT] };
}

/* Few rows, in a batch that has many elsewhere, are attended as attn_native does by itself. */
cla_attn_sizes cla_wide_sizes(const int *t)
{
    return (cla_attn_sizes){ .wide = true,
                             .rows = t[CLA_NATIVE_ROWS],
                             .keys = t[CLA_NATIVE_KEYS],
                             .few_keys = CLA_FEW_KEYS,
                             .split = CLA_FEW_SPLIT };
}

static size_t slot_of(const cla_attn *p, const cla_attn_sizes *sizes)
{
    if (!sizes->wide)
        return cla_scratch_of(p, sizes->rows, sizes->keys).total;
    const size_t many = cla_wide_scratch_of(p, sizes->rows, sizes->keys).total;
    const size_t few = cla_scratch_of(p, CLA_SPLIT_ROWS, sizes->few_keys).total;
    return many > few ? many : few;
}

static void place_panels(cla_layout *l, const cla_attn *p, bool wide, size_t *at)
{
    const size_t keys = wide ? CLA_WIDE_KEYS : CLA_PANEL;
    l->panels = p->ragged ? (size_t)p->Tk / keys + p->B + 1
                          : ((size_t)p->Nk + keys - 1) / keys * p->B;
    const size_t panels = l->packs ? l->panels * p->Hk : 0;
    if (!wide) {
        l->keys = place(at, panels * CLA_PANEL * p->D);
        return;
    }
    l->keys = place(at, panels * cla_wide_key_bytes(p) / sizeof(float));
    l->values = place(at, panels * cla_wide_value_bytes(p) / sizeof(float));
    l->finite = place(at, (panels + sizeof(float) - 1) / sizeof(float));
}

cla_layout cla_layout_of(const cla_attn *p, const cla_attn_sizes *sizes)
{
    const int few = sizes->wide ? CLA_SPLIT_ROWS : sizes->rows; /* rows of keys not packed */
    cla_layout l = { 0 };
    const size_t heads = (size_t)p->B * p->Hk, rows = (size_t)p->G * p->Nq;
    size_t at = 0;
    l.slot = slot_of(p, sizes);
    l.scratch = place(&at, l.slot * (size_t)cla_scratch_slots());
    l.splits = p->Nk > sizes->split ? (p->Nk + sizes->split - 1) / sizes->split : 1;
    l.part_rows = rows < CLA_SPLIT_ROWS ? rows : CLA_SPLIT_ROWS;
    if (!p->ragged && rows > CLA_SPLIT_ROWS)
        l.splits = 1;
    l.packs = rows > (size_t)few && p->Nk > 0;
    place_panels(&l, p, sizes->wide, &at);
    if (l.splits > 1) {
        l.part_o = place(&at, heads * l.splits * l.part_rows * cla_value_ld(p));
        l.part_stat = place(&at, heads * l.splits * l.part_rows * 2);
    }
    l.total = at;
    return l;
}

int cla_thread_id(void)
{
#if defined(_OPENMP)
    return omp_get_thread_num();
#else
    return 0;
#endif
}

/* Kept from the first call on: a workspace laid out earlier must still be large enough. */
int cla_scratch_slots(void)
{
    static _Atomic int slots;
    int none = 0;
    if (atomic_load(&slots) == 0)
        atomic_compare_exchange_strong(&slots, &none, cla_cpu_cores());
    return atomic_load(&slots);
}

int cla_threads(const cla_cpu *cpu, double multiply_adds)
{
    if (multiply_adds < 5e4)
        return 1;
    return cpu->threads < cla_scratch_slots() ? cpu->threads : cla_scratch_slots();
}
