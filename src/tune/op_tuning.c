/* SPDX-License-Identifier: Apache-2.0 */
#include "op_tuning.h"

const cla_range cla_range_usual = { -1.7f, 1.7f }, cla_range_scales = { 0.01f, 0.02f };

bool cla_op_tunable(const cla_op *op, const void *problem)
{
    return op->tuning && (!op->tuning->possible || op->tuning->possible(problem));
}

int32_t cla_least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

void cla_view_cut(cla_view *view, int axis, int32_t length)
{
    if (view->dtype == CLATTN_NONE || view->shape[axis] <= length)
        return;
    view->shape[axis] = length;
    view->span = 1;
    for (int a = 0; a < CLATTN_MAX_RANK; a++)
        if (view->shape[a] > 0)
            view->span += (view->shape[a] - 1) * view->stride[a];
}

int32_t cla_packed_start(const cla_view *starts, int64_t i, int64_t rows)
{
    return (int32_t)(rows * i / (starts->span > 1 ? starts->span - 1 : 1));
}

int32_t cla_scattered_page(int64_t i, int64_t pages)
{
    const int64_t step = pages % 7 == 0 ? 1 : 7;
    return (int32_t)(i % pages * step % pages);
}
