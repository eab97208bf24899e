/* SPDX-License-Identifier: Apache-2.0 */
/* Projections of few rows on all cores: weights are read in place, once. */
#include "layout.h"
#include "proj.h"

size_t cla_proj_few_floats(const cla_proj *p)
{
    return cla_proj_turns_floats(p) + (size_t)p->rows * cla_proj_x_ld(p);
}

static int tasks_of(const cla_proj_part *part, int size)
{
    return (cla_proj_panels_of(part) + size - 1) / size;
}

/* Panels of a task: several, where that makes the runs of memory longer that one row reads. */
static int panels_of_task(const cla_proj *p, int threads)
{
    const int panels = cla_proj_panels(p) / (4 * threads);
    if (p->rows > 1 || p->w_along != CLA_W_ALONG_K || panels < 1)
        return 1;
    return panels < CLA_PROJ_WIDE ? panels : CLA_PROJ_WIDE;
}

/* One panel, all rows. */
static void few_panel(const cla_proj_call *c, const cla_proj_ops *ops, int part, int panel)
{
    for (int row = 0; row < c->p->rows; row += CLA_PROJ_FEW) {
        const int left = c->p->rows - row, rows = left < CLA_PROJ_FEW ? left : CLA_PROJ_FEW;
        _Alignas(64) float sums[CLA_PROJ_FEW * CLA_PROJ_STRIP] = { 0 };
        ops->dots(c, part, panel * CLA_PROJ_STRIP, row, rows, sums);
        ops->finish(c, part, panel * CLA_PROJ_STRIP, row, rows, sums);
    }
}

/* Panels [first, first + count) of a part. */
static void few_panels(const cla_proj_call *c, const cla_proj_ops *ops, int part, int first,
                       int count)
{
    _Alignas(64) float sums[CLA_PROJ_WIDE * CLA_PROJ_STRIP] = { 0 };
    const int wide =
        count > 1 ? ops->wide_dots(c, part, first * CLA_PROJ_STRIP, count, 0, sums) : 0;
    for (int i = 0; i < wide; i++)
        ops->finish(c, part, (first + i) * CLA_PROJ_STRIP, 0, 1, sums + i * CLA_PROJ_STRIP);
    for (int i = wide; i < count; i++)
        few_panel(c, ops, part, first + i);
}

/* A task's panels belong to one part. */
static void few_task(const cla_proj_call *c, const cla_proj_ops *ops, int index, int size)
{
    int part = 0, tasks;
    while (index >= (tasks = tasks_of(&c->p->part[part], size))) {
        index -= tasks;
        part++;
    }
    const int first = index * size, left = cla_proj_panels_of(&c->p->part[part]) - first;
    few_panels(c, ops, part, first, left < size ? left : size);
}

static int num_few_tasks(const cla_proj *p, int size)
{
    int n = 0;
    for (int i = 0; i < p->parts; i++)
        n += tasks_of(&p->part[i], size);
    return n;
}

clattn_status cla_cpu_proj_few(cla_cpu *cpu, const cla_proj *p)
{
    const cla_proj_ops *ops = cla_proj_ops_of(cpu->isa);
    const int threads = cla_threads(cpu, cla_proj_multiply_adds(p));
    const int size = panels_of_task(p, threads), tasks = num_few_tasks(p, size);
    cla_proj_call c = { .p = p, .x_ld = cla_proj_x_ld(p) };
    c.x = cla_proj_place_turns(&c, (float *)p->work.host + p->work_w);
#pragma omp parallel num_threads(threads)
    {
        const unsigned saved = cla_drop_subnormals();
#pragma omp for schedule(static)
        for (int row = 0; row < p->rows; row++) {
            ops->convert_row(p, row, c.x + (size_t)row * c.x_ld, c.x_ld);
            cla_proj_turn_row(&c, row);
        }
#pragma omp for schedule(dynamic)
        for (int i = 0; i < tasks; i++)
            few_task(&c, ops, i, size);
        cla_keep_subnormals(saved);
    }
    return CLATTN_OK;
}
