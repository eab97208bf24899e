/* SPDX-License-Identifier: Apache-2.0 */
/* The host side of ATTN_ARGS in cl/attn.clh and STATS_ARGS in cl/attn_stats.clh, in that order. */
#include "attn_args.h"

#define VIEW(f) { CLA_ARG_VIEW, offsetof(cla_attn, f) }
#define I32(f) { CLA_ARG_I32, offsetof(cla_attn, f) }
#define I64(f) { CLA_ARG_I64, offsetof(cla_attn, f) }
#define F32(f) { CLA_ARG_F32, offsetof(cla_attn, f) }
#define OFF_BHN(f) I64(f.offset), I64(f.stride[0]), I64(f.stride[1]), I64(f.stride[2])
#define OFF_BHNK(f) OFF_BHN(f), I64(f.stride[3])

#define ATTN_ARGS                                                                              \
    VIEW(q), VIEW(k), VIEW(v), VIEW(o), VIEW(lse), VIEW(probs), VIEW(mask), VIEW(bias),        \
    VIEW(alibi), VIEW(sinks), VIEW(cu_q), VIEW(cu_k), VIEW(lengths), VIEW(table),              \
    VIEW(k_scale), VIEW(v_scale), VIEW(work),                              \
    OFF_BHN(q), OFF_BHN(k), OFF_BHN(v), OFF_BHN(o), OFF_BHN(lse), OFF_BHN(probs),              \
    OFF_BHNK(mask), OFF_BHNK(bias),                                                            \
    I64(alibi.offset), I64(sinks.offset), I64(cu_q.offset), I64(cu_k.offset),                  \
    I64(lengths.offset), I64(table.offset), I64(table.stride[0]),                              \
    OFF_BHN(k_scale), OFF_BHN(v_scale), I32(page_shift), I32(last_page),                       \
    I64(work_k), I64(work_v), I64(work_o), I64(work_lse),                                      \
    I32(B), I32(Hq), I32(Hk), I32(G), I32(Nq), I32(Nk), I32(Tq), I32(Tk),                      \
    I32(causal), I32(left), I32(right), I32(splits), I32(split_keys),                          \
    I32(probs_head), I32(probs_row), I32(probs_heads), I32(probs_rows),                        \
    F32(scale), F32(softcap)

const cla_arg cla_attn_args[] = { ATTN_ARGS, { CLA_ARG_END, 0 } };

const cla_arg cla_attn_marks_args[] = {
    ATTN_ARGS, VIEW(marks), I64(marks.offset), I64(marks.span), { CLA_ARG_END, 0 },
};

#define STATS_ARGS                                                                             \
    VIEW(entropy), VIEW(distance), VIEW(top), VIEW(top_keys), VIEW(keys), VIEW(chosen),        \
    VIEW(mean), OFF_BHN(entropy), OFF_BHN(distance), OFF_BHN(top), OFF_BHN(top_keys),          \
    I64(keys.offset), I64(keys.stride[0]), I64(keys.stride[1]), OFF_BHN(chosen),               \
    I64(mean.offset), I64(mean.stride[0]), I64(mean.stride[1]), I64(work_rows),                \
    I32(has_entropy), I32(has_distance), I32(has_mean), I32(tops), I32(picks), I32(mean_row),  \
    I32(mean_rows)

const cla_arg cla_attn_stats_args[] = { ATTN_ARGS, STATS_ARGS, { CLA_ARG_END, 0 } };

const cla_arg cla_argmax_pick_args[] = {
    ATTN_ARGS, VIEW(index), OFF_BHN(index), { CLA_ARG_END, 0 },
};

size_t cla_attn_bind_whole(void *problem, const int *t)
{
    cla_attn *p = problem;
    (void)t;
    p->splits = 1;
    p->split_keys = p->Nk;
    return 0;
}

bool cla_attn_is_tile(int work_group, int rows)
{
    const int of_item = rows / (work_group / CLA_ATTN_TILE_ITEMS);
    return of_item == 2 || of_item == 4;
}

int cla_attn_priority_cpu(const cla_dev *dev, const void *problem)
{
    (void)problem;
    return cla_dev_is_vector_cpu(dev) ? 100 : 1;
}
