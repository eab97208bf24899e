/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projections on all cores. Many rows: pieces of rows and weights that fit the caches are packed
 * and multiplied, in blocks of 12 rows by panels of 32 columns. Few rows: weights are read in
 * place, once. Every sum is made by one thread in a fixed order: results do not depend on their
 * number.
 */
#include <string.h>

#include "../rotary.h"
#include "layout.h"
#include "proj.h"

extern const cla_proj_ops cla_proj_ops_portable, cla_proj_ops_avx2, cla_proj_ops_avx512,
    cla_proj_ops_neon;

/* NULL where it was not compiled in. */
const cla_proj_ops *cla_proj_ops_of(cla_isa isa)
{
    switch (isa) {
    case CLA_ISA_PORTABLE:
        return &cla_proj_ops_portable;
    case CLA_ISA_AVX2:
#if defined(CLA_HAVE_AVX2)
        return &cla_proj_ops_avx2;
#else
        break;
#endif
    case CLA_ISA_AVX512:
#if defined(CLA_HAVE_AVX512)
        return &cla_proj_ops_avx512;
#else
        break;
#endif
    case CLA_ISA_NEON:
#if defined(CLA_HAVE_NEON)
        return &cla_proj_ops_neon;
#else
        break;
#endif
    }
    return NULL;
}

static size_t up_to(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple;
}

/* ---- workspace ---- */

/*
 * A task multiplies up to TASK_ROWS rows by TASK_PANELS panels, KC columns of x at a time. These
 * columns of its rows and the sums stay in the second-level cache, KC rows of a panel in the first.
 */
enum { KC = 192, TASK_BLOCKS = 32, TASK_ROWS = TASK_BLOCKS * CLA_PROJ_BLOCK, TASK_PANELS = 16 };

static size_t task_floats(void)
{
    return (size_t)TASK_ROWS * (TASK_PANELS * CLA_PROJ_PANEL + KC) + (size_t)KC * CLA_PROJ_PANEL;
}

/* The parts before this one that turn the same way share its angles. */
static int turns_owner(const cla_proj *p, int index)
{
    const cla_proj_part *part = &p->part[index];
    for (int i = 0; i < index; i++)
        if (p->part[i].K == part->K && p->part[i].ratio == part->ratio
            && (p->part[i].flags & CLA_PROJ_ROTARY))
            return i;
    return index;
}

static size_t turns_floats(const cla_proj *p)
{
    size_t floats = 0;
    for (int i = 0; i < p->parts; i++)
        if ((p->part[i].flags & CLA_PROJ_ROTARY) && turns_owner(p, i) == i)
            floats += (size_t)p->rows * p->part[i].K;
    return (floats + 15) / 16 * 16;
}

static int panels_of(const cla_proj_part *part)
{
    return (int)up_to((size_t)part->out, CLA_PROJ_PANEL);
}

static size_t num_panels(const cla_proj *p)
{
    size_t n = 0;
    for (int i = 0; i < p->parts; i++)
        n += (size_t)panels_of(&p->part[i]);
    return n;
}

static size_t num_blocks(const cla_proj *p)
{
    return up_to((size_t)p->rows, CLA_PROJ_BLOCK);
}

size_t cla_proj_gemm_floats(const cla_proj *p)
{
    return turns_floats(p) + task_floats() * (size_t)cla_scratch_slots();
}

size_t cla_proj_few_floats(const cla_proj *p)
{
    return turns_floats(p) + (size_t)p->rows * cla_proj_x_ld(p);
}

/* ---- steps, each for one thread of many ---- */

static int64_t position_of(const cla_proj *p, int row)
{
    const int b = row / p->N;
    return (p->has_starts ? CLA_AT(const int32_t, p->starts)[b * p->starts.stride[0]] : p->start)
           + row % p->N;
}

/* Angles of one row for all parts. */
static void turn_row(const cla_proj_call *c, int row)
{
    const cla_proj *p = c->p;
    for (int i = 0; i < p->parts; i++) {
        const cla_proj_part *part = &p->part[i];
        if (!(part->flags & CLA_PROJ_ROTARY) || turns_owner(p, i) != i)
            continue;
        float *to = (float *)c->turns[i] + (size_t)row * part->K;
        for (int pair = 0; pair < part->K / 2; pair++)
            cla_rotary_angle(cla_rotary_turns(part->ratio, pair), position_of(p, row),
                             &to[2 * pair], &to[2 * pair + 1]);
    }
}

/* Which part a panel belongs to; panel becomes its number in the part. */
static int part_of_panel(const cla_proj *p, int *panel)
{
    int i = 0;
    while (*panel >= panels_of(&p->part[i]))
        *panel -= panels_of(&p->part[i++]);
    return i;
}

/* Blocks of rows by panels. */
typedef struct task {
    int row, rows, panel, panels;
    float *w, *x, *sums; /* [KC][32], [block][KC][12], [panel][TASK_ROWS][32] */
} task;

/* A share of the weights that the next panel needs, while this one is used. */
static void fetch_next(const cla_proj_call *c, const cla_proj_ops *ops, int panel, int m, int n,
                       int share, int shares)
{
    enum { PANEL = CLA_PROJ_PANEL };
    const int part = part_of_panel(c->p, &panel);
    for (int j = share * PANEL / shares; j < (share + 1) * PANEL / shares; j++)
        ops->fetch_weights(c->p, &c->p->part[part], panel * PANEL + j, m, n);
}

/* sums += x w over columns m .. m + n - 1 of x. */
static void multiply_columns(const cla_proj_call *c, const cla_proj_ops *ops, const task *t, int m,
                             int n)
{
    enum { BLOCK = CLA_PROJ_BLOCK, PANEL = CLA_PROJ_PANEL };
    const int blocks = (t->rows + BLOCK - 1) / BLOCK;
    for (int r = 0; r < blocks; r++)
        ops->pack_rows(c->p, t->row + r * BLOCK, m, n, t->x + (size_t)r * BLOCK * KC);
    for (int i = 0; i < t->panels; i++) {
        int panel = t->panel + i;
        const int part = part_of_panel(c->p, &panel);
        ops->pack_weights(c->p, &c->p->part[part], panel * PANEL, m, n, t->w);
        for (int r = 0; r < blocks; r++) {
            if (i + 1 < t->panels)
                fetch_next(c, ops, t->panel + i + 1, m, n, r, blocks);
            ops->multiply(t->x + (size_t)r * BLOCK * KC, t->w, n,
                          t->sums + ((size_t)i * TASK_ROWS + r * BLOCK) * PANEL);
        }
    }
}

/* Row by row, so that y is written in long runs. */
static void finish_task(const cla_proj_call *c, const cla_proj_ops *ops, const task *t)
{
    for (int r = 0; r < t->rows; r += CLA_PROJ_BLOCK)
        for (int i = 0; i < t->panels; i++) {
            int panel = t->panel + i;
            const int part = part_of_panel(c->p, &panel), left = t->rows - r;
            ops->finish(c, part, panel * CLA_PROJ_PANEL, t->row + r,
                        left < CLA_PROJ_BLOCK ? left : CLA_PROJ_BLOCK,
                        t->sums + ((size_t)i * TASK_ROWS + r) * CLA_PROJ_PANEL);
        }
}

static void multiply_task(const cla_proj_call *c, const cla_proj_ops *ops, const task *t)
{
    const int M = c->p->M;
    for (int i = 0; i < t->panels; i++)
        memset(t->sums + (size_t)i * TASK_ROWS * CLA_PROJ_PANEL, 0,
               up_to((size_t)t->rows, CLA_PROJ_BLOCK) * CLA_PROJ_BLOCK * CLA_PROJ_PANEL
                   * sizeof(float));
    for (int m = 0; m < M; m += KC)
        multiply_columns(c, ops, t, m, M - m < KC ? M - m : KC);
    finish_task(c, ops, t);
}

/* Rows of a task: fewer when that leaves some threads without work. */
static int task_rows(const cla_proj *p, int ranges, int threads)
{
    int blocks = TASK_BLOCKS;
    while (blocks > 4
           && (int64_t)up_to(num_blocks(p), (size_t)blocks) * ranges < 3 * (int64_t)threads)
        blocks /= 2;
    return blocks * CLA_PROJ_BLOCK;
}

static float *place_turns(cla_proj_call *c, float *at)
{
    const cla_proj *p = c->p;
    float *next = at;
    for (int i = 0; i < p->parts; i++) {
        if (!(p->part[i].flags & CLA_PROJ_ROTARY))
            continue;
        if (turns_owner(p, i) != i) {
            c->turns[i] = c->turns[turns_owner(p, i)];
            continue;
        }
        c->turns[i] = next;
        next += (size_t)p->rows * p->part[i].K;
    }
    return at + turns_floats(p);
}

static double multiply_adds(const cla_proj *p)
{
    double columns = 0;
    for (int i = 0; i < p->parts; i++)
        columns += p->part[i].out;
    return columns * p->rows * p->M;
}

/* ---- few rows ---- */

/* Panels of a task: several, where that makes the runs of memory longer that one row reads. */
static int panels_of_task(const cla_proj *p, int threads)
{
    const int panels = (int)num_panels(p) / (4 * threads);
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
    while (index >= (tasks = (int)up_to((size_t)panels_of(&c->p->part[part]), (size_t)size))) {
        index -= tasks;
        part++;
    }
    const int first = index * size, left = panels_of(&c->p->part[part]) - first;
    few_panels(c, ops, part, first, left < size ? left : size);
}

static int num_few_tasks(const cla_proj *p, int size)
{
    size_t n = 0;
    for (int i = 0; i < p->parts; i++)
        n += up_to((size_t)panels_of(&p->part[i]), (size_t)size);
    return (int)n;
}

/* ---- entry points ---- */

clattn_status cla_cpu_proj_gemm(cla_cpu *cpu, const cla_proj *p)
{
    const cla_proj_ops *ops = cla_proj_ops_of(cpu->isa);
    const int threads = cla_threads(cpu, multiply_adds(p));
    const int panels = (int)num_panels(p), ranges = (int)up_to((size_t)panels, TASK_PANELS);
    const int rows = task_rows(p, ranges, threads);
    const int64_t tasks = (int64_t)up_to((size_t)p->rows, (size_t)rows) * ranges;
    cla_proj_call c = { .p = p };
    float *scratch = place_turns(&c, (float *)p->work.host + p->work_w);
#pragma omp parallel num_threads(threads)
    {
        const unsigned saved = cla_drop_subnormals();
#pragma omp for schedule(static)
        for (int row = 0; row < (p->has_rotary ? p->rows : 0); row++)
            turn_row(&c, row);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < tasks; i++) {
            const int row = (int)(i / ranges) * rows, panel = (int)(i % ranges) * TASK_PANELS;
            float *own = scratch + task_floats() * (size_t)cla_thread_id();
            multiply_task(&c, ops,
                          &(task){ row, p->rows - row < rows ? p->rows - row : rows, panel,
                                   panels - panel < TASK_PANELS ? panels - panel : TASK_PANELS, own,
                                   own + KC * CLA_PROJ_PANEL,
                                   own + KC * CLA_PROJ_PANEL + TASK_ROWS * KC });
        }
        cla_keep_subnormals(saved);
    }
    return CLATTN_OK;
}

clattn_status cla_cpu_proj_few(cla_cpu *cpu, const cla_proj *p)
{
    const cla_proj_ops *ops = cla_proj_ops_of(cpu->isa);
    const int threads = cla_threads(cpu, multiply_adds(p)), size = panels_of_task(p, threads);
    const int tasks = num_few_tasks(p, size);
    cla_proj_call c = { .p = p, .x_ld = cla_proj_x_ld(p) };
    c.x = place_turns(&c, (float *)p->work.host + p->work_w);
#pragma omp parallel num_threads(threads)
    {
        const unsigned saved = cla_drop_subnormals();
#pragma omp for schedule(static)
        for (int row = 0; row < p->rows; row++) {
            ops->convert_row(p, row, c.x + (size_t)row * c.x_ld, c.x_ld);
            turn_row(&c, row);
        }
#pragma omp for schedule(dynamic)
        for (int i = 0; i < tasks; i++)
            few_task(&c, ops, i, size);
        cla_keep_subnormals(saved);
    }
    return CLATTN_OK;
}
