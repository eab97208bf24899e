/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projections of many rows on all cores. Rows of x are packed first, as many as a bounded workspace
 * takes; then tasks of some rows by some panels of columns are handed out. A task goes along x in
 * pieces: those of its rows and its sums stay in the second-level cache, that of a panel of weights
 * is packed into the first. Every sum is made by one thread in a fixed order: results do not depend
 * on their number.
 */
#include <string.h>

#include "layout.h"
#include "proj.h"

#if defined(CLA_HAVE_AMX)
extern const cla_proj_gemm_ops cla_proj_amx_ops;
#endif

enum { X_BYTES = 16 << 20 }; /* of packed rows, unless a task needs more */

static size_t up_to(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* ---- workspace ---- */

/* Bytes of a block of packed rows, all columns. */
static size_t block_bytes(const cla_proj *p, const cla_proj_tile *tile)
{
    return (size_t)tile->block * up_to((size_t)p->M, (size_t)tile->depth) * (size_t)tile->element;
}

/* Rows that are packed before tasks are handed out, a multiple of those of a task. */
static int rows_at_once(const cla_proj *p, const cla_proj_tile *tile)
{
    const size_t task = block_bytes(p, tile) * (size_t)(tile->rows / tile->block);
    const size_t tasks = X_BYTES / task > 0 ? X_BYTES / task : 1;
    const size_t rows = up_to((size_t)p->rows, (size_t)tile->rows);
    return (int)(tasks * (size_t)tile->rows < rows ? tasks * (size_t)tile->rows : rows);
}

static size_t x_floats(const cla_proj *p, const cla_proj_tile *tile)
{
    const size_t rows = up_to((size_t)smaller(p->rows, rows_at_once(p, tile)), (size_t)tile->block);
    return up_to(rows / (size_t)tile->block * block_bytes(p, tile) / sizeof(float), 16);
}

static size_t w_floats(const cla_proj_tile *tile)
{
    return (size_t)tile->depth * CLA_PROJ_PANEL * (size_t)tile->element / sizeof(float);
}

static size_t thread_floats(const cla_proj_tile *tile)
{
    return w_floats(tile) + (size_t)tile->rows * (size_t)tile->panels * CLA_PROJ_PANEL;
}

size_t cla_proj_gemm_floats(const cla_proj *p, const cla_proj_tile *tile)
{
    return cla_proj_turns_floats(p) + x_floats(p, tile)
         + thread_floats(tile) * (size_t)cla_scratch_slots();
}

/* ---- one task ---- */

/* One call. */
typedef struct gemm {
    cla_proj_call call;
    const cla_proj *p;
    const cla_proj_gemm_ops *ops;
    cla_proj_tile tile; /* rows and panels may be fewer than the workspace is for */
    int first, blocks;  /* row of the first of the packed blocks */
    char *x;            /* [piece of depth columns][block] */
    float *scratch;
} gemm;

/* Blocks of rows by panels. */
typedef struct task {
    int block, rows, panel, panels; /* block: of the packed ones */
    char *w;
    float *sums; /* [panel][rows][32], blocks laid out as the instruction set likes */
} task;

/* Which part a panel belongs to; panel becomes its number in the part. */
static int part_of_panel(const cla_proj *p, int *panel)
{
    int i = 0;
    while (*panel >= cla_proj_panels_of(&p->part[i]))
        *panel -= cla_proj_panels_of(&p->part[i++]);
    return i;
}

static char *x_of(const gemm *g, int block, int m)
{
    const size_t bytes =
        (size_t)g->tile.block * (size_t)g->tile.depth * (size_t)g->tile.element;
    return g->x + ((size_t)(m / g->tile.depth) * (size_t)g->blocks + (size_t)block) * bytes;
}

static float *sums_of(const gemm *g, const task *t, int panel, int row)
{
    return t->sums + ((size_t)panel * (size_t)g->tile.rows + (size_t)row) * CLA_PROJ_PANEL;
}

static int columns_from(const gemm *g, int m)
{
    return smaller(g->p->M - m, g->tile.depth);
}

/* A share of the weights that are packed next, while those before them are used. */
static void fetch_next(const gemm *g, const task *t, int panel, int m, int share, int shares)
{
    enum { PANEL = CLA_PROJ_PANEL };
    if (++panel == t->panels) {
        panel = 0;
        m += g->tile.depth;
    }
    if (m >= g->p->M || !g->ops->fetch_weights)
        return;
    panel += t->panel;
    const cla_proj_part *part = &g->p->part[part_of_panel(g->p, &panel)];
    for (int j = share * PANEL / shares; j < (share + 1) * PANEL / shares; j++)
        g->ops->fetch_weights(g->p, part, panel * PANEL + j, m, columns_from(g, m));
}

/* sums += x w over one piece of x, one panel. */
static void multiply_panel(const gemm *g, const task *t, int index, int m)
{
    const int block = g->tile.block, n = columns_from(g, m), shares = (t->rows + block - 1) / block;
    int panel = t->panel + index;
    const int part = part_of_panel(g->p, &panel);
    g->ops->pack_weights(g->p, &g->p->part[part], panel * CLA_PROJ_PANEL, m, n, t->w);
    for (int r = 0; r < t->rows; r += block) {
        fetch_next(g, t, index, m, r / block, shares);
        g->ops->multiply(x_of(g, t->block + r / block, m), t->w, n, t->rows - r,
                         sums_of(g, t, index, r));
    }
}

/* Row by row, so that y is written in long runs. */
static void finish_task(const gemm *g, const task *t)
{
    const int block = g->tile.block;
    for (int r = 0; r < t->rows; r += block)
        for (int i = 0; i < t->panels; i++) {
            int panel = t->panel + i;
            const int part = part_of_panel(g->p, &panel);
            g->ops->finish(&g->call, part, panel * CLA_PROJ_PANEL,
                           g->first + t->block * block + r, smaller(t->rows - r, block),
                           sums_of(g, t, i, r));
        }
}

static void multiply_task(const gemm *g, const task *t)
{
    const size_t rows = up_to((size_t)t->rows, (size_t)g->tile.block);
    for (int i = 0; i < t->panels; i++)
        memset(sums_of(g, t, i, 0), 0, rows * CLA_PROJ_PANEL * sizeof(float));
    for (int m = 0; m < g->p->M; m += g->tile.depth)
        for (int i = 0; i < t->panels; i++)
            multiply_panel(g, t, i, m);
    finish_task(g, t);
}

/* ---- all of them ---- */

static int tasks_of(const gemm *g, int rows)
{
    return (rows + g->tile.rows - 1) / g->tile.rows
         * ((cla_proj_panels(g->p) + g->tile.panels - 1) / g->tile.panels);
}

/* Smaller tasks when threads would be left without work. */
static void share_out(gemm *g, int rows, int threads)
{
    while (tasks_of(g, rows) < 3 * threads && g->tile.rows % (2 * g->tile.block) == 0
           && g->tile.rows > 4 * g->tile.block)
        g->tile.rows /= 2;
    while (tasks_of(g, rows) < 4 * threads && g->tile.panels > 1)
        g->tile.panels /= 2;
}

static void pack_unit(const gemm *g, int unit)
{
    const int block = unit % g->blocks, m = unit / g->blocks * g->tile.depth;
    g->ops->pack_rows(g->p, g->first + block * g->tile.block, m, columns_from(g, m),
                      x_of(g, block, m));
}

static void run_task(const gemm *g, int index, int rows)
{
    const int all = cla_proj_panels(g->p);
    const int ranges = (all + g->tile.panels - 1) / g->tile.panels;
    const int row = index / ranges * g->tile.rows, panel = index % ranges * g->tile.panels;
    float *own = g->scratch + thread_floats(&g->tile) * (size_t)cla_thread_id();
    const task t = { row / g->tile.block, smaller(rows - row, g->tile.rows),
                     panel, smaller(all - panel, g->tile.panels),
                     (char *)own, own + w_floats(&g->tile) };
    multiply_task(g, &t);
}

/* Rows [first, first + rows), by every thread of a team. */
static void run_rows(const gemm *whole, int first, int rows)
{
    gemm g = *whole;
    g.first = first;
    g.blocks = (rows + g.tile.block - 1) / g.tile.block;
    const int pieces = (g.p->M + g.tile.depth - 1) / g.tile.depth, tasks = tasks_of(&g, rows);
#pragma omp for schedule(static)
    for (int i = 0; i < pieces * g.blocks; i++)
        pack_unit(&g, i);
#pragma omp for schedule(dynamic)
    for (int i = 0; i < tasks; i++)
        run_task(&g, i, rows);
}

static void run(const cla_cpu *cpu, const cla_proj *p, const cla_proj_gemm_ops *ops,
                   const cla_proj_tile *tile)
{
    const int threads = cla_threads(cpu, cla_proj_multiply_adds(p)), step = rows_at_once(p, tile);
    gemm g = { .call = { .p = p }, .p = p, .ops = ops, .tile = *tile };
    float *x = cla_proj_place_turns(&g.call, (float *)p->work.host + p->work_w);
    g.x = (char *)x;
    g.scratch = x + x_floats(p, tile);
    share_out(&g, smaller(p->rows, step), threads);
#pragma omp parallel num_threads(threads)
    {
        const unsigned saved = cla_drop_subnormals();
        if (ops->begin)
            ops->begin();
#pragma omp for schedule(static)
        for (int row = 0; row < (p->has_rotary ? p->rows : 0); row++)
            cla_proj_turn_row(&g.call, row);
        for (int row = 0; row < p->rows; row += step)
            run_rows(&g, row, smaller(p->rows - row, step));
        if (ops->end)
            ops->end();
        cla_keep_subnormals(saved);
    }
}

clattn_status cla_cpu_proj_gemm(cla_cpu *cpu, const cla_proj *p)
{
    run(cpu, p, &cla_proj_ops_of(cpu->isa)->gemm, &cla_proj_f32_tile);
    return CLATTN_OK;
}

clattn_status cla_cpu_proj_amx(cla_cpu *cpu, const cla_proj *p, const cla_proj_tile *tile)
{
#if defined(CLA_HAVE_AMX)
    run(cpu, p, &cla_proj_amx_ops, tile);
    return CLATTN_OK;
#else
    (void)cpu, (void)p, (void)tile;
    return CLATTN_ERR_UNSUPPORTED; /* no device has CLA_CAP_AMX then */
#endif
}
