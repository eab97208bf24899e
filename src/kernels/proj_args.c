/* SPDX-License-Identifier: Apache-2.0 */
/* The host side of PROJ_ARGS in cl/proj.clh, in the same order. */
#include "proj_args.h"

#define VIEW(f) { CLA_ARG_VIEW, offsetof(cla_proj, f) }
#define I32(f) { CLA_ARG_I32, offsetof(cla_proj, f) }
#define I64(f) { CLA_ARG_I64, offsetof(cla_proj, f) }
#define PART(i)                                                                             \
    VIEW(part[i].w), VIEW(part[i].scale), VIEW(part[i].bias), VIEW(part[i].residual),       \
        VIEW(part[i].y), I64(part[i].w.offset), I64(part[i].w.stride[0]),                   \
        I64(part[i].w.stride[1]), I64(part[i].w.stride[2]), I64(part[i].scale.offset),      \
        I64(part[i].scale.stride[0]), I64(part[i].scale.stride[1]), I64(part[i].bias.offset), \
        I64(part[i].bias.stride[0]), I64(part[i].residual.offset),                          \
        I64(part[i].residual.stride[0]), I64(part[i].residual.stride[1]),                   \
        I64(part[i].residual.stride[2]), I64(part[i].y.offset), I64(part[i].y.stride[0]),   \
        I64(part[i].y.stride[1]), I64(part[i].y.stride[2]), I64(part[i].ratio),             \
        I32(part[i].K), I32(part[i].out), I32(part[i].flags)

const cla_arg cla_proj_args[] = {
    VIEW(x), VIEW(starts), VIEW(cached), VIEW(table), VIEW(work),
    PART(0), PART(1), PART(2),
    I64(x.offset), I64(x.stride[0]), I64(x.stride[1]), I64(starts.offset), I64(start),
    I64(cached.offset), I64(table.offset), I64(table.stride[0]), I64(work_w), I64(work_x),
    I64(work_sums), I32(page_shift), I32(last_page), I32(N), I32(M), I32(rows), I32(splits),
    I32(split_m),
    { CLA_ARG_END, 0 },
};

size_t cla_proj_tiles(const cla_proj *p, size_t width)
{
    size_t tiles = 0;
    for (int i = 0; i < p->parts; i++)
        tiles += ((size_t)p->part[i].out + width - 1) / width;
    return tiles;
}
