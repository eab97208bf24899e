/* SPDX-License-Identifier: Apache-2.0 */
#include "argmax_parts.h"

size_t cla_argmax_split(cla_attn *p, int keys)
{
    p->split_keys = keys;
    p->splits = p->Nk > keys ? (p->Nk + keys - 1) / keys : 1;
    p->work_o = 0;
    return (size_t)p->splits * (size_t)p->B * (size_t)p->Hq * (size_t)p->Nq * sizeof(uint64_t);
}
