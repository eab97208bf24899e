/* SPDX-License-Identifier: Apache-2.0 */
/* Attention probabilities of chosen heads and rows, on all cores. */
#include <string.h>

#include "layout.h"

enum { ROWS = CLA_HEAD_ROWS, KEYS = 128 }; /* of a task, of a tile */

/* work_v as attn_native has it: they run one after the other in the same memory. */
size_t cla_cpu_probs_bytes(cla_attn *p)
{
    p->work_v = 0;
    return cla_scratch_of(p, ROWS, KEYS).total * (size_t)cla_scratch_slots() * sizeof(float);
}

cla_task cla_head_task(const cla_attn *p, cla_seq seq, int h, int row, int rows)
{
    return (cla_task){
        .p = p,
        .seq = seq,
        .hk = h / p->G,
        .row = (int64_t)(h % p->G) * seq.nq + row,
        .rows = rows,
        .keys = { 0, seq.nk },
        .tile_keys = KEYS,
        .scratch = (float *)p->work.host + p->work_v
                 + cla_scratch_of(p, ROWS, KEYS).total * cla_thread_id(),
    };
}

/* Rows of one head, counted in the sequence; those past its last are all 0. */
static void probs_unit(const cla_cpu *cpu, const cla_attn *p, int b, int h, int unit)
{
    const cla_seq seq = cla_seq_of(p, b);
    const int first = unit * ROWS;
    const int last = p->probs_rows < first + ROWS ? p->probs_rows : first + ROWS;
    const int i = p->probs_row + first;
    int real = seq.nq - i < last - first ? seq.nq - i : last - first;
    real = real > 0 ? real : 0;
    for (int r = first + real; r < last; r++)
        memset(CLA_AT(float, p->probs) + b * p->probs.stride[0] + h * p->probs.stride[1]
                   + r * p->probs.stride[2],
               0, sizeof(float) * (size_t)p->Nk);
    if (real == 0)
        return;
    const cla_task task = cla_head_task(p, seq, p->probs_head + h, i, real);
    cla_block_ops_of(cpu->isa)->probs(&task);
}

clattn_status cla_cpu_probs(cla_cpu *cpu, const cla_attn *p)
{
    const int64_t units = (p->probs_rows + ROWS - 1) / ROWS, heads = p->probs_heads;
    const double work = (double)p->B * p->probs_heads * p->probs_rows * p->Nk * p->D;
    const int threads = cla_threads(cpu, work);
    (void)threads; /* without OpenMP */
#pragma omp parallel num_threads(threads)
    {
        const unsigned saved = cla_drop_subnormals();
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < p->B * heads * units; i++)
            probs_unit(cpu, p, (int)(i / units / heads), (int)(i / units % heads),
                       (int)(i % units));
        cla_keep_subnormals(saved);
    }
    return CLATTN_OK;
}
