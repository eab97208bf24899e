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

cla_layout cla_layout_of(const cla_attn *p, const int *t)
{
    const size_t task_rows = (size_t)t[CLA_NATIVE_ROWS];
    const int split_keys = t[CLA_NATIVE_SPLIT];
    cla_layout l = { 0 };
    const size_t heads = (size_t)p->B * p->Hk, rows = (size_t)p->G * p->Nq;
    size_t at = 0;
    l.slot = cla_scratch_of(p, t[CLA_NATIVE_ROWS], t[CLA_NATIVE_KEYS]).total;
    l.scratch = place(&at, l.slot * (size_t)cla_scratch_slots());
    l.panels = p->ragged ? (size_t)p->Tk / CLA_PANEL + p->B + 1
                         : ((size_t)p->Nk + CLA_PANEL - 1) / CLA_PANEL * p->B;
    l.splits = p->Nk > split_keys ? (p->Nk + split_keys - 1) / split_keys : 1;
    l.part_rows = rows < CLA_SPLIT_ROWS ? rows : CLA_SPLIT_ROWS;
    if (!p->ragged && rows > CLA_SPLIT_ROWS)
        l.splits = 1;
    l.packs = rows > task_rows && p->Nk > 0;
    l.keys = place(&at, l.packs ? l.panels * CLA_PANEL * p->Hk * p->D : 0);
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
