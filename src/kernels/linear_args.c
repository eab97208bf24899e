/* SPDX-License-Identifier: Apache-2.0 */
/* The host side of LINEAR_ARGS in cl/linear.clh, in the same order, and of its segments. */
#include "linear_args.h"

#define VIEW(f) { CLA_ARG_VIEW, offsetof(cla_linear, f) }
#define I32(f) { CLA_ARG_I32, offsetof(cla_linear, f) }
#define I64(f) { CLA_ARG_I64, offsetof(cla_linear, f) }
#define F32(f) { CLA_ARG_F32, offsetof(cla_linear, f) }
#define OFF_2(f) I64(f.offset), I64(f.stride[0]), I64(f.stride[1])
#define OFF_3(f) OFF_2(f), I64(f.stride[2])

const cla_arg cla_linear_args[] = {
    VIEW(q), VIEW(k), VIEW(v), VIEW(o), VIEW(in_kv), VIEW(in_z), VIEW(out_kv), VIEW(out_z),
    VIEW(cu_q), VIEW(cu_k), VIEW(work),
    OFF_3(q), OFF_3(k), OFF_3(v), OFF_3(o), OFF_3(in_kv), OFF_3(out_kv), OFF_2(in_z), OFF_2(out_z),
    I64(cu_q.offset), I64(cu_k.offset), I64(work_state),
    I32(B), I32(Hq), I32(Hk), I32(G), I32(Nq), I32(Nk), I32(Tq), I32(Tk),
    I32(segs), I32(seg_keys), I32(states), F32(scale), F32(c),
    { CLA_ARG_END, 0 },
};

void cla_linear_cut(cla_linear *p, int64_t wanted, int unit)
{
    const int64_t keys = (wanted + unit - 1) / unit * unit;
    const int64_t all = ((int64_t)p->Nk + unit - 1) / unit * unit;
    p->seg_keys = (int32_t)(keys < all ? keys : all > unit ? all : unit);
    p->segs = p->Nk > p->seg_keys ? (p->Nk + p->seg_keys - 1) / p->seg_keys : 1;
}

size_t cla_linear_state_floats(const cla_linear *p)
{
    const size_t columns = ((size_t)p->Dv + 15) / 16 * 16;
    return (size_t)p->F * columns + ((size_t)p->F + 15) / 16 * 16;
}

size_t cla_linear_state_bytes(cla_linear *p)
{
    const size_t count = (size_t)p->B * (size_t)p->Hk * (size_t)p->segs;
    p->work_state = 0;
    return p->states ? count * cla_linear_state_floats(p) * sizeof(float) : 0;
}

bool cla_linear_is_step(const cla_linear *p)
{
    return p->Nq == 1 && p->Nk == 1 && !p->ragged && !p->quadratic && p->Hq > 0;
}

size_t cla_linear_bind_step(void *problem, const int *t)
{
    (void)t;
    cla_linear_cut(problem, 1, 1);
    return 0;
}
