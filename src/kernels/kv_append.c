/* SPDX-License-Identifier: Apache-2.0 */
/* kv_append: rows into a KV cache on any device. Source: cl/kv_append.cl */
#include "kernel.h"

extern const cla_blob cla_src_prelude_clh, cla_src_kv_clh, cla_src_rotary_clh, cla_src_kv_append;
extern const cla_kernel cla_kernel_kv_append;

enum { WG = 32, MAX_GROUPS = 65535 }; /* groups of a second or third dimension, on every device */

#define VIEW(f) { CLA_ARG_VIEW, offsetof(cla_append, f) }
#define I32(f) { CLA_ARG_I32, offsetof(cla_append, f) }
#define I64(f) { CLA_ARG_I64, offsetof(cla_append, f) }
#define STRIDES(f) I64(f.offset), I64(f.stride[0]), I64(f.stride[1]), I64(f.stride[2])
static const cla_arg args[] = {
    VIEW(k), VIEW(v), VIEW(k_rows), VIEW(v_rows), VIEW(k_scale), VIEW(v_scale), VIEW(starts),
    VIEW(positions), VIEW(table), STRIDES(k), STRIDES(v), STRIDES(k_rows), STRIDES(v_rows),
    STRIDES(k_scale), STRIDES(v_scale), I64(starts.offset), I64(positions.offset),
    I64(table.offset), I64(table.stride[0]), I64(ratio), I32(D), I32(Dv), I32(page_shift),
    I32(last_page), { CLA_ARG_END, 0 },
};

static int priority(const cla_dev *dev, const void *problem)
{
    (void)dev;
    (void)problem;
    return 50;
}

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_append *p = problem;
    (void)dev;
    (void)t;
    return p->Hk <= MAX_GROUPS && p->B <= MAX_GROUPS / 2 && p->N <= 0x7fffffff / WG;
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_append *p = problem;
    (void)t;
    return (cla_geometry){ 3,
                           { (size_t)p->N * WG, (size_t)p->Hk, 2 * (size_t)p->B },
                           { WG, 1, 1 } };
}

static size_t local_bytes(const void *problem, const int *t)
{
    (void)problem;
    (void)t;
    return WG * sizeof(uint32_t);
}

const cla_kernel cla_kernel_kv_append = {
    .name = "kv_append",
    .revision = 1,
    .stage = CLA_STAGE_APPEND,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_rotary_clh, &cla_src_kv_append },
    .constants = {
        { "IN_TYPE", offsetof(cla_append, in_type) },
        { "KV_TYPE", offsetof(cla_append, kv_type) },
        { "ROTARY", offsetof(cla_append, rotary) },
        { "PAGED", offsetof(cla_append, paged) },
    },
    .args = args,
    .priority = priority,
    .ok = ok,
    .geometry = geometry,
    .local_bytes = local_bytes,
};
