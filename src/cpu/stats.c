/* SPDX-License-Identifier: Apache-2.0 */
/* What attention weights come to, on all cores: first rows of each head, then means over heads. */
#include <string.h>

#include "layout.h"

size_t cla_cpu_stats_bytes(cla_attn *p)
{
    const size_t scratch = cla_cpu_probs_bytes(p);
    p->work_rows = (int64_t)(scratch / sizeof(float));
    return scratch + (p->has_mean ? (size_t)p->B * p->Hq * p->Nq * 2 * sizeof(float) : 0);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static void stats_unit(const cla_block_ops *ops, const cla_attn *p, int b, int h, int unit)
{
    const cla_seq seq = cla_seq_of(p, b);
    const int first = unit * CLA_HEAD_ROWS, rows = least(seq.nq - first, CLA_HEAD_ROWS);
    if (rows <= 0)
        return;
    const cla_task task = cla_head_task(p, seq, h, first, rows);
    ops->stats(&task);
}

/* Rows that the sequence does not have stay 0. */
static void mean_unit(const cla_block_ops *ops, const cla_attn *p, int b, int unit)
{
    const cla_seq seq = cla_seq_of(p, b);
    const int first = unit * CLA_HEAD_ROWS, last = least(first + CLA_HEAD_ROWS, p->mean_rows);
    const int i = p->mean_row + first, rows = least(seq.nq - i, last - first);
    for (int r = first; r < last; r++)
        memset(CLA_AT(float, p->mean) + b * p->mean.stride[0] + r * p->mean.stride[1], 0,
               sizeof(float) * (size_t)p->Nk);
    for (int h = 0; h < p->Hq && rows > 0; h++) {
        const cla_task task = cla_head_task(p, seq, h, i, rows);
        ops->mean(&task);
    }
}

clattn_status cla_cpu_stats(cla_cpu *cpu, const cla_attn *p)
{
    const cla_block_ops *ops = cla_block_ops_of(cpu->isa);
    const int64_t units = (p->Nq + CLA_HEAD_ROWS - 1) / CLA_HEAD_ROWS, heads = p->Hq;
    const int64_t mean_units =
        p->has_mean ? (p->mean_rows + CLA_HEAD_ROWS - 1) / CLA_HEAD_ROWS : 0;
    const int threads = cla_threads(cpu, (double)p->B * p->Hq * p->Nq * p->Nk * p->D);
    (void)threads; /* without OpenMP */
#pragma omp parallel num_threads(threads)
    {
        const unsigned saved = cla_drop_subnormals();
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < p->B * heads * units; i++)
            stats_unit(ops, p, (int)(i / units / heads), (int)(i / units % heads),
                       (int)(i % units));
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < p->B * mean_units; i++)
            mean_unit(ops, p, (int)(i / mean_units), (int)(i % mean_units));
        cla_keep_subnormals(saved);
    }
    return CLATTN_OK;
}
