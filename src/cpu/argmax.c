/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Argmax attention on all cores. Keys are split into parts where there are few rows; each part
 * leaves the rank of its best key per row, the maximum of which names the key whose value is
 * fetched. Parts follow from the keys of a sequence alone.
 */
#include <string.h>

#include "kv_row.h"
#include "layout.h"
#include "rank.h"

enum { ROWS = CLA_TASK_ROWS, TILE = 128, PART = 2048 };

/* Ranks [splits][B][Hq][Nq], after the scratch memory of the threads. */
static size_t scratch_floats(const cla_attn *p)
{
    return cla_scratch_of(p, ROWS, TILE).total * (size_t)cla_scratch_slots();
}

static size_t rows_of_batch(const cla_attn *p)
{
    return (size_t)p->Hq * (size_t)p->Nq;
}

size_t cla_cpu_argmax_bytes(cla_attn *p)
{
    p->split_keys = PART;
    p->splits = p->Nk > PART ? (p->Nk + PART - 1) / PART : 1;
    p->work_o = 0; /* start of it all */
    return scratch_floats(p) * sizeof(float)
         + (size_t)p->splits * (size_t)p->B * rows_of_batch(p) * sizeof(uint64_t);
}

static uint64_t *ranks_of(const cla_attn *p, int split, int b)
{
    float *end_of_scratch = (float *)p->work.host + p->work_o + scratch_floats(p);
    return (uint64_t *)(void *)end_of_scratch + ((size_t)split * p->B + b) * rows_of_batch(p);
}

static void score_unit(const cla_cpu *cpu, const cla_attn *p, int b, int hk, int split,
                       int64_t unit)
{
    const cla_seq seq = cla_seq_of(p, b);
    const int64_t rows = (int64_t)p->G * seq.nq, first = unit * ROWS;
    if (first >= rows)
        return;
    const int begin = split * PART < seq.nk ? split * PART : seq.nk;
    const cla_task task = {
        .p = p,
        .seq = seq,
        .hk = hk,
        .row = first,
        .rows = (int)(rows - first < ROWS ? rows - first : ROWS),
        .keys = { begin, seq.nk - begin > PART ? begin + PART : seq.nk },
        .tile_keys = TILE,
        .scratch = (float *)p->work.host + p->work_o
                 + cla_scratch_of(p, ROWS, TILE).total * cla_thread_id(),
        .ranks = ranks_of(p, split, b),
    };
    cla_block_ops_of(cpu->isa)->argmax(&task);
}

/* A quantised value. */
static void unpack_row(const cla_attn *p, cla_kv_row row, float *to)
{
    for (int d = 0; d < p->Dv; d++) {
        float pair[2];
        const bool halves = p->kv_type == CLATTN_I4;
        clattn_to_f32((clattn_dtype)p->kv_type, row.at + (halves ? d / 2 : d), pair, 1);
        to[d] = row.scale[halves ? d / 32 : 0] * pair[halves ? d % 2 : 0];
    }
}

static void pick_row(const cla_attn *p, int b, int h, int i)
{
    const cla_seq seq = cla_seq_of(p, b);
    if (i >= seq.nq)
        return;
    uint64_t rank = 0;
    for (int split = 0; split < p->splits; split++) {
        const uint64_t part = ranks_of(p, split, b)[(size_t)h * p->Nq + i];
        rank = part > rank ? part : rank;
    }
    const int key = cla_key_of(rank);
    const size_t size = clattn_dtype_size((clattn_dtype)p->out_type);
    char *to = (char *)p->o.host
             + (p->o.offset + b * p->o.stride[0] + h * p->o.stride[1]
                + (seq.q0 + i) * p->o.stride[2])
                   * (int64_t)size;
    if (key < 0)
        memset(to, 0, size * (size_t)p->Dv);
    else if (p->kv_type == p->out_type)
        memcpy(to, cla_value_row(p, &seq, h / p->G, key).at, size * (size_t)p->Dv);
    else
        unpack_row(p, cla_value_row(p, &seq, h / p->G, key), (float *)to);
    if (p->has_index)
        CLA_AT(int32_t, p->index)[b * p->index.stride[0] + h * p->index.stride[1]
                                  + (seq.q0 + i) * p->index.stride[2]] = key;
}

clattn_status cla_cpu_argmax(cla_cpu *cpu, const cla_attn *p)
{
    const int64_t rows = (int64_t)p->G * p->Nq, units = (rows + ROWS - 1) / ROWS;
    const int64_t heads = (int64_t)p->B * p->Hk, all_rows = (int64_t)p->B * p->Hq * p->Nq;
    const int64_t parts = p->splits;
    const int threads = cla_threads(cpu, (double)heads * (double)rows * p->Nk * p->D);
#pragma omp parallel num_threads(threads)
    {
        const unsigned saved = cla_drop_subnormals();
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < heads * parts * units; i++)
            score_unit(cpu, p, (int)(i / units / parts / p->Hk), (int)(i / units / parts % p->Hk),
                       (int)(i / units % parts), i % units);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < all_rows; i++)
            pick_row(p, (int)(i / p->Nq / p->Hq), (int)(i / p->Nq % p->Hq), (int)(i % p->Nq));
        cla_keep_subnormals(saved);
    }
    return CLATTN_OK;
}
