/* SPDX-License-Identifier: Apache-2.0 */
/* argmax_pick: joins the parts of argmax attention, fetches v. Source: cl/argmax_pick.cl */
#include "attn_args.h"

extern const cla_blob cla_src_kv_clh;
extern const cla_blob cla_src_prelude_clh, cla_src_attn_clh, cla_src_argmax_clh;
extern const cla_blob cla_src_argmax_pick;
extern const cla_kernel cla_kernel_argmax_pick;

static cla_geometry geometry(const void *problem, const int *t)
{
    const cla_attn *p = problem;
    const size_t rows = (size_t)p->B * (size_t)p->Hq * (size_t)p->Nq;
    (void)t;
    return (cla_geometry){ 1, { 16 * rows, 1, 1 }, { 16, 1, 1 } };
}

const cla_kernel cla_kernel_argmax_pick = {
    .name = "argmax_pick",
    .revision = 1,
    .stage = CLA_STAGE_HELPER,
    .parts = { &cla_src_prelude_clh, &cla_src_kv_clh, &cla_src_attn_clh, &cla_src_argmax_clh,
               &cla_src_argmax_pick },
    .constants = { CLA_ATTN_VALUE_CONSTANTS, { "HAS_INDEX", offsetof(cla_attn, has_index) } },
    .args = cla_argmax_pick_args,
    .ok = cla_ok_always,
    .geometry = geometry,
};
