/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes every OpenCL kernel as it would be built for a few problems, into the folders of its
 * argument: gpu/ for kernels that are meant for GPUs, cpu/ for the others, one for each matrix
 * engine with the kernels over its tile, hopper/ for those on the matrix unit of warpgroups.
 * X.cl is the source, X.options the option string, X.items the work-items of a work-group. The
 * compile gates and the lint work from these files, so they need no OpenCL device. A kernel that no
 * problem here brings up is a failure.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../support/sample_append.h"
#include "../support/sample_linear.h"
#include "../support/sample_projection.h"
#include "../support/sample_row.h"
#include "../support/sample_tile.h"
#include "kernels/probes.h"
#include "kernels/tile_parts.h"
#include "kernels/wgmma.h"
#include "plan.h"

typedef struct variant {
    const char *name;
    int32_t D, Dv, type, extras;
} variant;

/* Each dtype, each flag on and off, sizes that are and are not multiples of a tile. */
static const variant variants[] = {
    { "f32", 64, 64, CLATTN_F32, 0 },
    { "f16", 128, 128, CLATTN_F16, 0 },
    { "bf16all", 40, 72, CLATTN_BF16, 1 },
};

/* The dtypes and widths of attention over the matrix tile, and what projections over it do. */
static const variant tile_variants[] = {
    { "f16d64", 64, 64, CLATTN_F16, 0 },
    { "f16d128", 128, 128, CLATTN_F16, 0 },
    { "bf16all", 40, 72, CLATTN_BF16, 1 },
};
static const variant tile_projection = { "f16all", 0, 0, CLATTN_F16, 1 };

/*
 * The types of kernels on the matrix unit of warpgroups, then widths that take all of its
 * instructions, which concern attention alone.
 */
static const variant unit_variants[] = {
    { "f16d128", 128, 128, CLATTN_F16, 0 }, { "bf16all", 40, 72, CLATTN_BF16, 1 },
    { "f16d64", 64, 64, CLATTN_F16, 0 },    { "f16d192", 192, 128, CLATTN_F16, 0 },
    { "f16v192", 128, 192, CLATTN_F16, 0 }, { "f16v256", 128, 256, CLATTN_F16, 0 },
};
enum { UNIT_TYPES = 2 };

typedef struct target {
    const char *folder;
    cla_dev dev;
} target;

/* A small GPU (what OpenCL 1.2 parts of the last ten years all have), and a CPU. */
static const target targets[] = {
    { "gpu",
      { .info = { .type = CLATTN_DEVICE_GPU, .name = "gate", .compute_units = 16,
                  .max_work_group = 256, .local_bytes = 32u << 10, .global_bytes = 4u << 30,
                  .max_alloc_bytes = 1u << 30, .usable = true },
        .max_items = { 256, 256, 64 } } },
    { "cpu",
      { .info = { .type = CLATTN_DEVICE_CPU, .name = "gate", .compute_units = 4,
                  .max_work_group = 4096, .local_bytes = 256u << 10, .global_bytes = 4u << 30,
                  .max_alloc_bytes = 1u << 30, .usable = true },
        .vector_floats = 16,
        .max_items = { 4096, 4096, 4096 } } },
};

/* GPUs with a matrix engine. */
#define ENGINE(where, engine, caps_, local)                                                    \
    { where,                                                                                   \
      { .info = { .type = CLATTN_DEVICE_GPU, .name = "gate", .compute_units = 64,              \
                  .max_work_group = 1024, .local_bytes = local, .global_bytes = 4u << 30,      \
                  .max_alloc_bytes = 1u << 30, .usable = true },                               \
        .caps = caps_, .tile = engine, .max_items = { 1024, 1024, 64 } } }
#define BOTH (CLA_CAP_MATRIX_F16 | CLA_CAP_MATRIX_BF16)
static const target engines[] = {
    ENGINE("mma_k8", CLA_TILE_MMA_K8, CLA_CAP_MATRIX_F16, 48u << 10),
    ENGINE("mma_k16", CLA_TILE_MMA_K16, BOTH, 48u << 10),
    ENGINE("wmma_gfx11", CLA_TILE_WMMA_GFX11, BOTH, 64u << 10),
    ENGINE("mfma", CLA_TILE_MFMA, BOTH, 64u << 10),
    ENGINE("dpas_8", CLA_TILE_DPAS_8, BOTH, 64u << 10),
    ENGINE("dpas_16", CLA_TILE_DPAS_16, BOTH, 128u << 10),
};

/* The GPU that has the matrix unit of warpgroups. */
static const target hopper = {
    "hopper",
    { .info = { .type = CLATTN_DEVICE_GPU, .name = "gate", .compute_units = 132,
                .max_work_group = 1024, .local_bytes = 48u << 10, .global_bytes = 16u << 30,
                .max_alloc_bytes = 4u << 30, .usable = true },
      .caps = CLA_CAP_WGMMA, .declared_local = CLA_WGMMA_LOCAL, .max_items = { 1024, 1024, 64 } },
};

enum { OPTIONS = 1024 };

static void die(const char *what, const char *name)
{
    fprintf(stderr, "dump_kernels: %s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

static cla_view view(int32_t dtype, int32_t heads, int32_t rows, int32_t width)
{
    const int64_t head = (int64_t)rows * width;
    return (cla_view){ .dtype = dtype, .span = heads * head,
                       .stride = { heads * head, head, width, 1 } };
}

static cla_attn attention_of(const variant *v, bool tiled)
{
    cla_attn p;
    memset(&p, 0, sizeof p);
    p.B = 1;
    p.Hq = 8;
    p.Hk = 4;
    p.G = 2;
    p.Nq = p.Tq = 512;
    p.Nk = p.Tk = 1024;
    p.D = v->D;
    p.Dv = v->Dv;
    p.in_type = p.out_type = v->type;
    p.kv_type = v->extras && !tiled ? CLATTN_I4 : v->type;
    p.has_lengths = p.paged = v->extras;
    p.bias_type = v->extras ? v->type : CLATTN_F32;
    p.has_mask = p.has_bias = p.has_alibi = p.has_sinks = p.has_softcap = v->extras;
    p.has_lse = p.has_probs = p.ragged = v->extras;
    p.causal = CLATTN_CAUSAL_BOTTOM_RIGHT;
    p.left = p.right = CLA_UNBOUNDED;
    p.scale = p.softcap = 1.0f;
    p.probs_heads = p.Hq;
    p.probs_rows = p.mean_rows = p.Nq;
    p.has_mean = 1;
    memcpy(p.tile, (const int32_t[4]){ 64, 32, 32, 32 }, sizeof p.tile);
    p.q = view(v->type, p.Hq, p.Nq, p.D);
    p.k = view(v->type, p.Hk, p.Nk, p.D);
    p.v = view(v->type, p.Hk, p.Nk, p.Dv);
    p.o = view(v->type, p.Hq, p.Nq, p.Dv);
    p.splits = 2; /* so that the kernels that join parts come up */
    p.split_keys = p.Nk / 2;
    return p;
}

static cla_merge merge_of(const variant *v)
{
    cla_merge p;
    memset(&p, 0, sizeof p);
    p.P = 3;
    p.B = 1;
    p.H = 8;
    p.N = 512;
    p.Dv = v->Dv;
    p.in_type = p.out_type = v->type;
    p.has_lse = v->extras;
    return p;
}

/* With extras the weights are quantised, else as x. tiled: of enough rows for the largest guess. */
static cla_proj projection_of(const variant *v, bool tiled)
{
    const clattn_dtype type = (clattn_dtype)v->type;
    const clattn_dtype weights = v->extras && !tiled ? CLATTN_I4 : type;
    cla_proj p = sample_projection(tiled ? 4096 : 512, type, weights, v->extras);
    p.splits = 2; /* so that the kernel that joins parts comes up */
    return p;
}

/* Bound, because helpers are compiled with what their owner's configuration says. */
static cla_linear linear_of(const variant *v, const cla_kernel *owner)
{
    cla_linear p = sample_linear(v->D, v->Dv, (clattn_dtype)v->type, v->extras);
    int t[CLA_MAX_TUNABLES];
    if (strncmp(owner->name, "linear_step", strlen("linear_step")) == 0)
        p.Nq = p.Nk = 1, p.ragged = 0;
    if (owner->stage == CLA_STAGE_LINEAR) {
        cla_kernel_safe_config(owner, t);
        owner->bind(&p, t);
    }
    return p;
}

static void write_file(const char *path, const cla_blob *const *parts, const char *options,
                       size_t items)
{
    char name[512];
    FILE *f;

    snprintf(name, sizeof name, "%s.cl", path);
    if (!(f = fopen(name, "wb")))
        die("cannot write", name);
    for (int i = 0; i < CLA_MAX_PARTS && parts[i]; i++) {
        fprintf(f, "#line 1 \"%s\"\n", parts[i]->path);
        fwrite(parts[i]->data, 1, parts[i]->size, f);
    }
    if (fclose(f) != 0)
        die("cannot write", name);

    snprintf(name, sizeof name, "%s.options", path);
    if (!(f = fopen(name, "w")))
        die("cannot write", name);
    fprintf(f, "%s\n", options);
    if (fclose(f) != 0)
        die("cannot write", name);

    snprintf(name, sizeof name, "%s.items", path);
    if (!(f = fopen(name, "w")))
        die("cannot write", name);
    fprintf(f, "%zu\n", items);
    if (fclose(f) != 0)
        die("cannot write", name);
}

static void dump(const char *folder, const cla_kernel *kernel, const variant *v, const char *choice,
                 const void *problem, const int *t)
{
    char options[OPTIONS], path[256];
    if (cla_kernel_options(kernel, problem, t, options, sizeof options) >= OPTIONS)
        die("options are too long for", kernel->name);
    snprintf(path, sizeof path, "%s/%s.%s.%s", folder, kernel->name, v->name, choice);
    const cla_geometry g = kernel->geometry(problem, t);
    write_file(path, kernel->parts, options, g.local[0] * g.local[1] * g.local[2]);
}

/* The last legal configuration of the walk: the largest tiles. */
static bool last_config(const cla_kernel *kernel, const cla_dev *dev, const void *problem,
                        int *last)
{
    int t[CLA_MAX_TUNABLES] = { 0 };
    bool found = false;
    cla_config_first(kernel, t);
    do {
        if (cla_kernel_legal(kernel, dev, problem, t)) {
            memcpy(last, t, sizeof t);
            found = true;
        }
    } while (cla_config_next(kernel, t));
    return found;
}

/* The configurations that are tried: the safe one, the guess and the largest, each once. */
static int dump_configs(const char *folder, const cla_kernel *kernel, const cla_dev *dev,
                        const variant *v, const void *problem)
{
    static const char *const choice[3] = { "safe", "guess", "last" };
    int t[3][CLA_MAX_TUNABLES] = { { 0 } };
    bool wanted[3] = { true, kernel->estimate != NULL, true };
    int count = 0;

    cla_kernel_safe_config(kernel, t[0]);
    if (kernel->estimate)
        kernel->estimate(dev, problem, t[1]);
    wanted[2] = last_config(kernel, dev, problem, t[2]);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < i; j++)
            if (wanted[j] && memcmp(t[i], t[j], sizeof t[i]) == 0)
                wanted[i] = false;
        wanted[i] = wanted[i] && cla_kernel_legal(kernel, dev, problem, t[i]);
        if (wanted[i]) {
            dump(folder, kernel, v, choice[i], problem, t[i]);
            count++;
        }
    }
    return count;
}

/* The kernel that a helper belongs to; a kernel that is no helper is its own. */
static const cla_kernel *owner_of(const cla_kernel *kernel)
{
    for (int i = 0; cla_kernels[i] && kernel->stage == CLA_STAGE_HELPER; i++)
        if (cla_kernels[i]->before == kernel || cla_kernels[i]->after == kernel)
            return owner_of(cla_kernels[i]);
    return kernel;
}

/* Where the dispatcher would rather use it; what it uses on neither is not for GPUs like these. */
static const target *home_of(const cla_kernel *owner, const void *problem)
{
    if (!owner->priority)
        return &targets[0];
    const int gpu = owner->priority(&targets[0].dev, problem);
    const int cpu = owner->priority(&targets[1].dev, problem);
    return &targets[cpu > gpu || gpu < 0];
}

/* Probes are run by hand: they have no configurations, and no question whether they are legal. */
static int dump_probe(const char *root, const cla_kernel *kernel)
{
    const cla_peak problem = { .items = 1024, .count = 16 };
    const int t[CLA_MAX_TUNABLES] = { 0 };
    char folder[192];
    snprintf(folder, sizeof folder, "%s/%s", root, targets[0].folder);
    dump(folder, kernel, &variants[0], "probe", &problem, t);
    return 1;
}

/* tiled: for a kernel over the matrix tile, which takes no other dtype. */
static void make_problem(const cla_kernel *owner, const variant *v, bool tiled, cla_problem *out)
{
    const clattn_dtype type = (clattn_dtype)v->type;
    union {
        cla_attn attention;
        cla_merge merge;
        cla_proj projection;
        cla_rope rope;
        cla_rowwise rowwise;
        cla_embedding embedding;
        cla_linear linear;
        cla_append append;
    } p;
    switch (owner->stage) {
    case CLA_STAGE_MERGE: p.merge = merge_of(v); break;
    case CLA_STAGE_PROJECTION: p.projection = projection_of(v, tiled); break;
    case CLA_STAGE_ROPE: p.rope = sample_rope(type, v->extras); break;
    case CLA_STAGE_ROWWISE: p.rowwise = sample_rowwise(type, v->extras); break;
    case CLA_STAGE_EMBEDDING: p.embedding = sample_embedding(type, v->extras); break;
    case CLA_STAGE_LINEAR: p.linear = linear_of(v, owner); break;
    case CLA_STAGE_APPEND: p.append = sample_append(type, v->extras); break;
    default: p.attention = attention_of(v, tiled); break;
    }
    memcpy(out, &p, sizeof p);
}

/* As each engine would run it by default. */
static int dump_tiled(const char *root, const cla_kernel *kernel)
{
    const bool attention = kernel->stage == CLA_STAGE_ATTENTION;
    const variant *all = attention ? tile_variants : &tile_projection;
    const size_t known = attention ? sizeof tile_variants / sizeof tile_variants[0] : 1;
    int count = 0;
    for (size_t e = 0; e < sizeof engines / sizeof engines[0]; e++)
        for (size_t n = 0; n < known; n++) {
            char folder[192];
            int t[CLA_MAX_TUNABLES] = { 0 };
            cla_problem problem;
            if (cla_tile_of(&engines[e].dev, all[n].type) == CLA_TILE_SCALAR)
                continue;
            make_problem(kernel, &all[n], true, &problem);
            kernel->estimate(&engines[e].dev, &problem, t);
            if (!cla_kernel_legal(kernel, &engines[e].dev, &problem, t))
                continue;
            snprintf(folder, sizeof folder, "%s/%s", root, engines[e].folder);
            dump(folder, kernel, &all[n], "guess", &problem, t);
            count++;
        }
    return count;
}

static void dump_program(const char *root, const char *folder, const char *name,
                         const cla_probe *probe)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s/%s", root, folder, name);
    write_file(path, probe->parts, probe->options, probe->items);
}

/* The probe of every engine. */
static void dump_tile_probe(const char *root, const target *engine)
{
    static const clattn_dtype types[] = { CLATTN_F16, CLATTN_BF16 };
    for (int i = 0; i < 2; i++) {
        cla_probe probe;
        char options[64];
        if (cla_tile_of(&engine->dev, types[i]) == CLA_TILE_SCALAR)
            continue;
        cla_tile_probe(engine->dev.tile, types[i], options, &probe);
        dump_program(root, engine->folder, i ? "probe_tile.bf16" : "probe_tile.f16", &probe);
    }
}

/* As the chip would run it by default; helpers are compiled with what their owner binds. */
static bool dump_guess(const char *folder, const cla_kernel *kernel, const cla_kernel *owner,
                       const variant *v, cla_problem *problem)
{
    int t[CLA_MAX_TUNABLES] = { 0 };
    owner->estimate(&hopper.dev, problem, t);
    if (owner->bind)
        owner->bind(problem, t);
    if (!cla_kernel_legal(kernel, &hopper.dev, problem, t))
        return false;
    dump(folder, kernel, v, "guess", problem, t);
    return true;
}

/* The assembler takes seconds for each, so one variant stands for the other configurations. */
static int dump_on_unit(const char *root, const cla_kernel *kernel, const cla_kernel *owner)
{
    const size_t known = owner->stage == CLA_STAGE_ATTENTION
                           ? sizeof unit_variants / sizeof unit_variants[0]
                           : UNIT_TYPES;
    char folder[192];
    int count = 0;
    snprintf(folder, sizeof folder, "%s/%s", root, hopper.folder);
    for (size_t n = 0; n < known; n++) {
        const variant *v = &unit_variants[n];
        cla_problem problem;
        make_problem(owner, v, true, &problem);
        if (kernel == owner && n == 0)
            count += dump_configs(folder, kernel, &hopper.dev, v, &problem);
        else if (kernel == owner || count == 0)
            count += dump_guess(folder, kernel, owner, v, &problem);
    }
    return count;
}

static int dump_kernel(const char *root, const cla_kernel *kernel)
{
    const cla_kernel *owner = owner_of(kernel);
    int count = 0;
    if (owner->needs & CLA_CAP_WGMMA)
        return dump_on_unit(root, kernel, owner);
    if (owner->stage == CLA_STAGE_PROBE)
        return dump_probe(root, kernel);
    if (sample_is_tiled(kernel) && dump_tiled(root, kernel) == 0)
        return 0;
    for (size_t n = 0; n < sizeof variants / sizeof variants[0]; n++) {
        cla_problem problem;
        make_problem(owner, &variants[n], false, &problem);
        const target *home = home_of(owner, &problem);
        char folder[192];
        snprintf(folder, sizeof folder, "%s/%s", root, home->folder);
        count += dump_configs(folder, kernel, &home->dev, &variants[n], &problem);
    }
    return count;
}

static void make_folder(const char *root, const char *name)
{
    char folder[192];
    snprintf(folder, sizeof folder, "%s/%s", root, name);
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        die("cannot make folder", folder);
}

int main(int argc, char **argv)
{
    cla_probe probe;
    if (argc != 2) {
        fprintf(stderr, "usage: dump_kernels FOLDER\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        make_folder(argv[1], targets[i].folder);
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
        make_folder(argv[1], engines[i].folder);
        dump_tile_probe(argv[1], &engines[i]);
    }
    make_folder(argv[1], hopper.folder);
    cla_wgmma_probe(&probe);
    dump_program(argv[1], hopper.folder, probe.name, &probe);
    int missing = 0;
    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *kernel = cla_kernels[i];
        if (cla_kernel_is_native(kernel) || dump_kernel(argv[1], kernel) > 0)
            continue;
        fprintf(stderr, "dump_kernels: no problem here brings up %s\n", kernel->name);
        missing++;
    }
    return missing > 0;
}
