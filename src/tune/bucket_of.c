/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buckets of each operation. What decides which kernel and tile win is in them, and nothing
 * else: each further distinction is another search for the user to wait for.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bucket.h"
#include "status.h"

/* Rows up to this many are decoding: results must not depend on the batch, nor may buckets. */
enum { FEW_ROWS = 16 };

static void fix(cla_bucket *b, const char *fmt, ...) CLA_PRINTF(2, 3);

static void fix(cla_bucket *b, const char *fmt, ...)
{
    const size_t used = strlen(b->fixed);
    va_list args;
    va_start(args, fmt);
    vsnprintf(b->fixed + used, sizeof b->fixed - used, fmt, args);
    va_end(args);
}

static void fix_if(cla_bucket *b, bool is, const char *word)
{
    if (is)
        fix(b, " %s", word);
}

static void add_axis(cla_bucket *b, const char *name, int64_t size)
{
    snprintf(b->axis[b->num_axes].name, sizeof b->axis[0].name, "%s", name);
    b->axis[b->num_axes++].size = (int32_t)size;
}

/* The next power of two, from low to high. */
static int64_t octave(int64_t x, int64_t low, int64_t high)
{
    int64_t size = low;
    while (size < x && size < high)
        size *= 2;
    return size;
}

/* The same with 1.5 times a power of two in between. */
static int64_t half_octave(int64_t x, int64_t low, int64_t high)
{
    const int64_t up = octave(x, low, high), half = up / 4 * 3;
    return half >= x && half > low ? half : up;
}

/* 1, 2 to 4, 5 to 8, 9 to 16, 17 to 32, then octaves. */
static int64_t row_class(int64_t rows, int64_t most)
{
    return rows <= 1 ? 1 : octave(rows, 4, most);
}

/* Keys: half octaves up to 1,024, then octaves. */
static int64_t key_class(int64_t keys)
{
    return keys <= 1024 ? half_octave(keys, 64, 1024) : octave(keys, 2048, 1 << 20);
}

/* How far independent pieces of work fill the device: quarters of it, in octaves up to 16 times. */
static int64_t fill_class(const cla_dev *dev, int64_t pieces)
{
    const int64_t units = dev->info.compute_units > 0 ? dev->info.compute_units : 1;
    return octave((pieces * 4 + units - 1) / units, 1, 64);
}

/* Query heads of a key head: as they are up to 8, then octaves. */
static int64_t group_class(int64_t G)
{
    return G <= 8 ? G : octave(G, 16, 1024);
}

static void attn_bucket(const cla_dev *dev, const void *problem, cla_bucket *b)
{
    const cla_attn *p = problem;
    const bool few = p->Nq <= FEW_ROWS;
    fix(b, "%s d%d v%d g%d", clattn_dtype_name((clattn_dtype)p->in_type), p->D, p->Dv,
        (int)group_class(p->G));
    if (p->kv_type != p->in_type && p->kv_type != CLATTN_NONE)
        fix(b, " kv-%s", clattn_dtype_name((clattn_dtype)p->kv_type));
    fix_if(b, few, "few");
    fix_if(b, p->has_lengths && !p->paged, "cache");
    fix_if(b, p->paged, "paged");
    fix_if(b, p->causal != CLATTN_CAUSAL_NONE, "causal");
    fix_if(b, p->left < CLA_UNBOUNDED || p->right < CLA_UNBOUNDED, "window");
    fix_if(b, p->has_mask, "mask");
    fix_if(b, p->has_bias, "bias");
    fix_if(b, p->ragged, "ragged");
    /* The longest sequence of a batch is no property of the others; the room of a cache is. */
    if (!few || !p->ragged) {
        add_axis(b, "nq", row_class(p->Nq, 8192));
        add_axis(b, "nk", key_class(few && p->has_lengths ? p->Tk : p->Nk));
    }
    add_axis(b, "fill",
             fill_class(dev, few ? p->Hk : (int64_t)p->B * p->Hq * (((int64_t)p->Nq + 63) / 64)));
}

static void merge_bucket(const cla_dev *dev, const void *problem, cla_bucket *b)
{
    const cla_merge *p = problem;
    (void)dev;
    fix(b, "%s v%d", clattn_dtype_name((clattn_dtype)p->in_type), p->Dv);
    add_axis(b, "rows", octave((int64_t)p->B * p->H * p->N, 16, 1 << 20));
    add_axis(b, "parts", octave(p->P, 2, 256));
}

static void proj_bucket(const cla_dev *dev, const void *problem, cla_bucket *b)
{
    static const char *const along[] = { "free", "along-m", "along-k" };
    const cla_proj *p = problem;
    int64_t out = 0;
    (void)dev;
    for (int i = 0; i < p->parts; i++)
        out += p->part[i].out;
    fix(b, "%s w-%s %s", clattn_dtype_name((clattn_dtype)p->in_type),
        clattn_dtype_name((clattn_dtype)p->w_type), along[p->w_along]);
    fix_if(b, p->has_rotary, "rotary");
    add_axis(b, "rows", row_class(p->rows, 8192));
    add_axis(b, "out", half_octave(out, 64, 16384));
    add_axis(b, "in", half_octave(p->M, 64, 16384));
}

static void rope_bucket(const cla_dev *dev, const void *problem, cla_bucket *b)
{
    const cla_rope *p = problem;
    (void)dev;
    fix(b, "%s %s", clattn_dtype_name((clattn_dtype)p->in_type), p->neox ? "neox" : "gptj");
    add_axis(b, "rows", octave((int64_t)p->B * p->N, 1, 1 << 20));
    add_axis(b, "width", octave((int64_t)p->H * p->D, 64, 1 << 16));
}

static void rowwise_bucket(const cla_dev *dev, const void *problem, cla_bucket *b)
{
    static const char *const functions[] = { "none", "norm",      "softmax", "log-softmax",
                                             "gelu", "gelu-tanh", "relu" };
    const cla_rowwise *p = problem;
    (void)dev;
    fix(b, "%s %s", clattn_dtype_name((clattn_dtype)p->in_type), functions[p->function]);
    add_axis(b, "rows", octave((int64_t)p->B * p->N, 1, 1 << 20));
    add_axis(b, "width", octave(p->M, 64, 1 << 18));
}

static void embedding_bucket(const cla_dev *dev, const void *problem, cla_bucket *b)
{
    const cla_embedding *p = problem;
    (void)dev;
    fix(b, "%s", clattn_dtype_name((clattn_dtype)p->in_type));
    add_axis(b, "rows", octave((int64_t)p->B * p->N, 1, 1 << 20));
    add_axis(b, "width", octave(p->M, 64, 1 << 16));
}

static void append_bucket(const cla_dev *dev, const void *problem, cla_bucket *b)
{
    const cla_append *p = problem;
    (void)dev;
    fix(b, "%s kv-%s", clattn_dtype_name((clattn_dtype)p->in_type),
        clattn_dtype_name((clattn_dtype)p->kv_type));
    fix_if(b, p->rotary != CLATTN_ROTARY_NONE, "rotary");
    add_axis(b, "rows", octave((int64_t)p->B * p->N, 1, 1 << 20));
    add_axis(b, "width", octave((int64_t)p->Hk * ((int64_t)p->D + p->Dv), 64, 1 << 16));
}

static void linear_bucket(const cla_dev *dev, const void *problem, cla_bucket *b)
{
    static const char *const maps[] = { "identity", "relu", "elu1", "exp", "poly2" };
    const cla_linear *p = problem;
    const bool few = p->Nq <= FEW_ROWS && p->Nk <= FEW_ROWS;
    fix(b, "%s d%d v%d g%d %s", clattn_dtype_name((clattn_dtype)p->in_type), p->D, p->Dv,
        (int)group_class(p->G), maps[p->map]);
    fix_if(b, few, "few");
    fix_if(b, p->quadratic, "quadratic");
    fix_if(b, p->causal, "causal");
    fix_if(b, p->ragged, "ragged");
    if (!few || !p->ragged) {
        add_axis(b, "nq", row_class(p->Nq, 1 << 20));
        add_axis(b, "nk", row_class(p->Nk, 1 << 20));
    }
    add_axis(b, "fill", fill_class(dev, few ? p->Hk : (int64_t)p->B * p->Hk));
}

void cla_bucket_of(const cla_dev *dev, cla_stage stage, const void *problem, cla_bucket *out)
{
    static void (*const of[])(const cla_dev *, const void *, cla_bucket *) = {
        [CLA_STAGE_ATTENTION] = attn_bucket,  [CLA_STAGE_PROBS] = attn_bucket,
        [CLA_STAGE_STATS] = attn_bucket,
        [CLA_STAGE_MERGE] = merge_bucket,     [CLA_STAGE_ARGMAX] = attn_bucket,
        [CLA_STAGE_PROJECTION] = proj_bucket, [CLA_STAGE_ROPE] = rope_bucket,
        [CLA_STAGE_LINEAR] = linear_bucket,   [CLA_STAGE_APPEND] = append_bucket,
        [CLA_STAGE_ROWWISE] = rowwise_bucket, [CLA_STAGE_EMBEDDING] = embedding_bucket,
    };
    memset(out, 0, sizeof *out);
    out->stage = stage;
    if ((size_t)stage < sizeof of / sizeof of[0] && of[stage])
        of[stage](dev, problem, out);
}
