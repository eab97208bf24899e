/* SPDX-License-Identifier: Apache-2.0 */
/* clattn_kv: making a cache, and its rows as tensors. */
#include "kv.h"

#include <stdlib.h>
#include <string.h>

#include "params.h"
#include "tensor.h"

static const char OP[] = "kv_create";

enum { WINDOW_PAGE_ROWS = 64 };

/* ---- sizes ---- */

static clattn_status check_size(clattn_ctx *ctx, const char *name, int64_t x, int64_t least)
{
    CLA_REQUIRE(ctx, x >= least && x <= CLA_MAX_LENGTH, CLATTN_ERR_SHAPE,
                "kv_create: %s is %lld, must be %lld to %d", name, (long long)x, (long long)least,
                CLA_MAX_LENGTH);
    return CLATTN_OK;
}

bool cla_kv_page_rows_ok(int64_t rows)
{
    return rows >= CLA_KV_LEAST_PAGE_ROWS && (rows & (rows - 1)) == 0;
}

static clattn_status check_sizes(clattn_ctx *ctx, const struct clattn_kv_params *u)
{
    const unsigned storable =
        CLA_DTYPES_FLOAT | CLA_DTYPE_BIT(CLATTN_I8) | CLA_DTYPE_BIT(CLATTN_I4);
    CLA_TRY(check_size(ctx, "sequences", u->sequences, 1));
    CLA_TRY(check_size(ctx, "heads", u->heads, 1));
    CLA_TRY(check_size(ctx, "key_width", u->key_width, 1));
    CLA_TRY(check_size(ctx, "value_width", u->value_width, 0));
    CLA_TRY(check_size(ctx, "capacity", u->capacity, 1));
    CLA_TRY(check_size(ctx, "page_rows", u->page_rows, 0));
    CLA_TRY(check_size(ctx, "pages", u->pages, 0));
    CLA_TRY(check_size(ctx, "window", u->window, 0));
    CLA_REQUIRE(ctx, u->dtype >= 0 && u->dtype <= CLATTN_I4
                    && (u->dtype == CLATTN_NONE || (storable & CLA_DTYPE_BIT(u->dtype))),
                CLATTN_ERR_ARG, "kv_create: dtype is %s (%d), must be f32, f16, bf16, i8 or i4",
                clattn_dtype_name(u->dtype), (int)u->dtype);
    CLA_REQUIRE(ctx, u->page_rows == 0 || cla_kv_page_rows_ok(u->page_rows), CLATTN_ERR_SHAPE,
                "kv_create: page_rows is %lld, must be a power of two, %d or more",
                (long long)u->page_rows, CLA_KV_LEAST_PAGE_ROWS);
    CLA_REQUIRE(ctx, u->pages == 0 || u->page_rows > 0, CLATTN_ERR_ARG,
                "kv_create: pages is %lld, but page_rows is 0 (contiguous)", (long long)u->pages);
    CLA_REQUIRE(ctx, u->window <= u->capacity, CLATTN_ERR_SHAPE,
                "kv_create: a window of %lld rows does not fit a capacity of %lld",
                (long long)u->window, (long long)u->capacity);
    return CLATTN_OK;
}

/* With a window one page more: its first and last rows need not be those of a page. */
static clattn_status lay_out_pages(clattn_ctx *ctx, const struct clattn_kv_params *u,
                                   clattn_kv *kv)
{
    cla_kv_pages *p = &kv->pages;
    const int64_t rows = u->page_rows ? u->page_rows : u->window ? WINDOW_PAGE_ROWS : 0;
    const int64_t most = rows ? (u->capacity + rows - 1) / rows + (u->window > 0) : 1;
    const int64_t pages = u->pages ? u->pages : most * u->sequences;
    CLA_REQUIRE(ctx, pages <= CLA_MAX_LENGTH && most <= CLA_MAX_LENGTH / (rows ? rows : 1),
                CLATTN_ERR_SHAPE,
                "kv_create: %lld sequences of %lld rows in pages of %lld are more than %d pages or "
                "rows",
                (long long)u->sequences, (long long)u->capacity,
                (long long)rows, CLA_MAX_LENGTH);
    kv->paged = rows > 0;
    p->sequences = (int32_t)u->sequences;
    p->most = (int32_t)most;
    p->page_rows = (int32_t)(rows ? rows : u->capacity);
    p->num_pages = (int32_t)pages;
    p->window = u->window;
    p->fixed = !kv->paged;
    CLA_REQUIRE(ctx, cla_kv_pages_init(p), CLATTN_ERR_MEMORY,
                "kv_create: out of host memory for %lld pages", (long long)pages);
    return CLATTN_OK;
}

static bool quantised(const clattn_kv *kv)
{
    return kv->dtype == CLATTN_I8 || kv->dtype == CLATTN_I4;
}

/* Elements of a stored row, and of its scales. */
static int64_t row_elements(const clattn_kv *kv, int32_t width)
{
    return kv->dtype == CLATTN_I4 ? (width + 1) / 2 : width;
}

static int64_t row_scales(const clattn_kv *kv, int32_t width)
{
    return kv->dtype == CLATTN_I8 ? 1 : kv->dtype == CLATTN_I4 ? (width + 31) / 32 : 0;
}

/* ---- memory ---- */

static clattn_status make_buffer(clattn_kv *kv, int64_t row_bytes, clattn_buffer **out)
{
    const cla_kv_pages *p = &kv->pages;
    size_t bytes = (size_t)row_bytes;
    if (row_bytes == 0)
        return CLATTN_OK;
    const bool overflow = __builtin_mul_overflow(bytes, (size_t)p->num_pages, &bytes)
                       || __builtin_mul_overflow(bytes, (size_t)p->page_rows, &bytes)
                       || __builtin_mul_overflow(bytes, (size_t)kv->Hk, &bytes);
    CLA_REQUIRE(kv->ctx, !overflow, CLATTN_ERR_SHAPE, "kv_create: the size overflows 64 bits");
    return clattn_buffer_create(kv->ctx, bytes, out);
}

static clattn_status make_memory(clattn_kv *kv)
{
    const int64_t size = (int64_t)clattn_dtype_size(kv->dtype), f = sizeof(float);
    CLA_TRY(make_buffer(kv, row_elements(kv, kv->D) * size, &kv->k));
    CLA_TRY(make_buffer(kv, row_elements(kv, kv->Dv) * size, &kv->v));
    CLA_TRY(make_buffer(kv, row_scales(kv, kv->D) * f, &kv->k_scale));
    CLA_TRY(make_buffer(kv, row_scales(kv, kv->Dv) * f, &kv->v_scale));
    const size_t count = (size_t)kv->pages.sequences * sizeof(int32_t);
    const size_t state = CLA_KV_COUNTS * count, table = (size_t)kv->pages.most * count;
    CLA_TRY(clattn_buffer_create(kv->ctx, state, &kv->state));
    CLA_TRY(clattn_buffer_create(kv->ctx, table, &kv->table));
    kv->mirror = calloc(1, state);
    CLA_REQUIRE(kv->ctx, kv->mirror, CLATTN_ERR_MEMORY, "kv_create: out of host memory");
    CLA_TRY(clattn_buffer_write(kv->state, 0, kv->mirror, state));
    return clattn_buffer_write(kv->table, 0, kv->pages.table, table);
}

void clattn_kv_destroy(clattn_kv **kv_ptr)
{
    if (!kv_ptr || !*kv_ptr)
        return;
    clattn_kv *kv = *kv_ptr;
    *kv_ptr = NULL;
    clattn_buffer_destroy(&kv->k);
    clattn_buffer_destroy(&kv->v);
    clattn_buffer_destroy(&kv->k_scale);
    clattn_buffer_destroy(&kv->v_scale);
    clattn_buffer_destroy(&kv->state);
    clattn_buffer_destroy(&kv->table);
    cla_kv_pages_free(&kv->pages);
    free(kv->mirror);
    cla_ctx_release(kv->ctx);
    free(kv);
}

clattn_status clattn_kv_create(clattn_ctx *ctx, const struct clattn_kv_params *params,
                               clattn_kv **out)
{
    struct clattn_kv_params u;
    if (out)
        *out = NULL;
    CLA_TRY(cla_enter(ctx));
    CLA_REQUIRE(ctx, params && out, CLATTN_ERR_ARG, "kv_create: %s is NULL",
                params ? "out" : "params");
    CLA_TRY(cla_params_read(ctx, OP, &u, sizeof u, params));
    CLA_TRY(check_sizes(ctx, &u));
    clattn_kv *kv = calloc(1, sizeof *kv);
    CLA_REQUIRE(ctx, kv, CLATTN_ERR_MEMORY, "kv_create: out of host memory");
    kv->ctx = cla_ctx_retain(ctx);
    kv->Hk = (int32_t)u.heads;
    kv->D = (int32_t)u.key_width;
    kv->Dv = (int32_t)(u.value_width ? u.value_width : u.key_width);
    kv->dtype = u.dtype ? u.dtype : CLATTN_F32;
    clattn_status s = lay_out_pages(ctx, &u, kv);
    if (s == CLATTN_OK)
        s = make_memory(kv);
    if (s != CLATTN_OK)
        clattn_kv_destroy(&kv);
    *out = kv;
    return s;
}

/* ---- what is in it ---- */

static bool has_sequence(const clattn_kv *kv, int64_t sequence)
{
    return kv && sequence >= 0 && sequence < kv->pages.sequences;
}

int64_t clattn_kv_length(const clattn_kv *kv, int64_t sequence)
{
    return has_sequence(kv, sequence) ? kv->pages.seq[sequence].length : -1;
}

int64_t clattn_kv_first(const clattn_kv *kv, int64_t sequence)
{
    return has_sequence(kv, sequence) ? kv->pages.seq[sequence].base : -1;
}

int64_t clattn_kv_free_pages(const clattn_kv *kv)
{
    return kv ? kv->pages.num_free : 0;
}

size_t clattn_kv_bytes(const clattn_kv *kv)
{
    return !kv ? 0
               : clattn_buffer_size(kv->k) + clattn_buffer_size(kv->v)
                     + clattn_buffer_size(kv->k_scale) + clattn_buffer_size(kv->v_scale)
                     + clattn_buffer_size(kv->state) + clattn_buffer_size(kv->table);
}

clattn_status cla_kv_check(clattn_ctx *ctx, const char *op, const clattn_kv *kv, int64_t first,
                           int64_t count)
{
    CLA_REQUIRE(ctx, kv->ctx == ctx, CLATTN_ERR_ARG, "%s: the cache belongs to another context",
                op);
    CLA_REQUIRE(ctx, first >= 0 && count >= 0 && first <= kv->pages.sequences
                    && count <= kv->pages.sequences - first,
                CLATTN_ERR_ARG, "%s: %lld sequences from %lld on, the cache has %d", op,
                (long long)count, (long long)first, kv->pages.sequences);
    return CLATTN_OK;
}

/* ---- as tensors ---- */

clattn_tensor cla_kv_data(const clattn_kv *kv, bool values)
{
    const cla_kv_pages *p = &kv->pages;
    const int64_t shape[] = { p->num_pages, kv->Hk, p->page_rows,
                              row_elements(kv, values ? kv->Dv : kv->D) };
    return clattn_tensor_of_buffer(values ? kv->v : kv->k, kv->dtype, 4, shape);
}

static clattn_tensor scale_tensor(const clattn_kv *kv, bool values)
{
    const cla_kv_pages *p = &kv->pages;
    const int64_t shape[] = { p->num_pages, kv->Hk, p->page_rows,
                              row_scales(kv, values ? kv->Dv : kv->D) };
    if (!quantised(kv))
        return (clattn_tensor){ .dtype = CLATTN_NONE };
    return clattn_tensor_of_buffer(values ? kv->v_scale : kv->k_scale, CLATTN_F32,
                                   kv->dtype == CLATTN_I4 ? 4 : 3, shape);
}

int32_t cla_kv_page_shift(int64_t page_rows)
{
    int32_t shift = 0;
    while ((int64_t)1 << shift < page_rows)
        shift++;
    return shift;
}

clattn_tensor cla_kv_state(const clattn_kv *kv, int part, int64_t first, int64_t count)
{
    clattn_tensor t = clattn_tensor_of_buffer(kv->state, CLATTN_I32, 1, &count);
    t.offset = (int64_t)part * kv->pages.sequences + first;
    return t;
}

clattn_tensor cla_kv_table(const clattn_kv *kv, int64_t first, int64_t count)
{
    const int64_t shape[] = { count, kv->pages.most };
    clattn_tensor t = clattn_tensor_of_buffer(kv->table, CLATTN_I32, 2, shape);
    t.offset = first * kv->pages.most;
    return t;
}

static clattn_tensor of_sequences(const clattn_kv *kv, clattn_tensor t, int64_t first,
                                  int64_t count)
{
    return kv->paged || t.dtype == CLATTN_NONE ? t : clattn_tensor_slice(t, 0, first, count);
}

clattn_status clattn_kv_tensors(clattn_kv *kv, int64_t sequence, int64_t count, clattn_tensor *k,
                                clattn_tensor *v, clattn_kv_layout *layout)
{
    if (!kv)
        return CLATTN_ERR_ARG;
    CLA_TRY(cla_enter(kv->ctx));
    CLA_REQUIRE(kv->ctx, k && v && layout, CLATTN_ERR_ARG, "kv_tensors: an output is NULL");
    CLA_TRY(cla_kv_check(kv->ctx, "kv_tensors", kv, sequence, count));
    CLA_TRY(cla_kv_tell(kv));
    *layout = (clattn_kv_layout){ .lengths = cla_kv_state(kv, CLA_KV_LENGTHS, sequence, count) };
    if (kv->paged)
        layout->block_table = cla_kv_table(kv, sequence, count);
    *k = of_sequences(kv, cla_kv_data(kv, false), sequence, count);
    *v = of_sequences(kv, cla_kv_data(kv, true), sequence, count);
    layout->k_scale = of_sequences(kv, scale_tensor(kv, false), sequence, count);
    layout->v_scale = of_sequences(kv, scale_tensor(kv, true), sequence, count);
    return CLATTN_OK;
}
