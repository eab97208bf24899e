/* SPDX-License-Identifier: Apache-2.0 */
/* embedding: rows of tables, added, on any device. Source: cl/embedding.cl */
#include "kernel.h"

enum { WG };

extern const cla_blob cla_src_prelude_clh, cla_src_embedding;
extern const cla_kernel cla_kernel_embedding;

#define VIEW(f) { CLA_ARG_VIEW, offsetof(cla_embedding, f) }
#define I32(f) { CLA_ARG_I32, offsetof(cla_embedding, f) }
#define I64(f) { CLA_ARG_I64, offsetof(cla_embedding, f) }
static const cla_arg args[] = {
    VIEW(ids), VIEW(table), VIEW(positions), VIEW(type_ids), VIEW(types), VIEW(starts), VIEW(y),
    I64(ids.offset), I64(ids.stride[0]), I64(table.offset), I64(table.stride[0]),
    I64(positions.offset), I64(positions.stride[0]), I64(type_ids.offset), I64(type_ids.stride[0]),
    I64(types.offset), I64(types.stride[0]), I64(starts.offset),
    I64(y.offset), I64(y.stride[0]), I64(y.stride[1]), I64(start),
    I32(M), I32(V), I32(P), I32(T),
    { CLA_ARG_END, 0 },
};

static bool ok(const cla_dev *dev, const void *problem, const int *t)
{
    const cla_embedding *p = problem;
    (void)dev;
    return p->M <= CLA_MAX_LENGTH - t[WG];
}

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_embedding *p = problem;
    const size_t wg = (size_t)t[WG];
    return (cla_geometry){ 3,
                           { ((size_t)p->M + wg - 1) / wg * wg, (size_t)p->N, (size_t)p->B },
                           { wg, 1, 1 } };
}

const cla_kernel cla_kernel_embedding = {
    .name = "embedding",
    .revision = 1,
    .stage = CLA_STAGE_EMBEDDING,
    .parts = { &cla_src_prelude_clh, &cla_src_embedding },
    .tunables = { [WG] = { "WG", { 32, 64, 128, 256 }, 64 } },
    .constants = {
        { "IN_TYPE", offsetof(cla_embedding, in_type) },
        { "OUT_TYPE", offsetof(cla_embedding, out_type) },
        { "HAS_POSITIONS", offsetof(cla_embedding, has_positions) },
        { "HAS_TYPES", offsetof(cla_embedding, has_types) },
        { "HAS_TYPE_IDS", offsetof(cla_embedding, has_type_ids) },
        { "HAS_STARTS", offsetof(cla_embedding, has_starts) },
    },
    .args = args,
    .priority = cla_priority_only,
    .ok = ok,
    .geometry = geometry,
};
