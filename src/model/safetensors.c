/* SPDX-License-Identifier: Apache-2.0 */
#include "safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "model_file.h"

#define MAX_HEADER ((uint64_t)100 << 20)

static clattn_dtype dtype_of(const char *name, size_t *item_size)
{
    static const struct {
        const char *name;
        size_t size;
        clattn_dtype dtype;
    } types[] = {
        { "F32", 4, CLATTN_F32 },   { "F16", 2, CLATTN_F16 },      { "BF16", 2, CLATTN_BF16 },
        { "F64", 8, CLATTN_NONE },  { "I64", 8, CLATTN_NONE },     { "U64", 8, CLATTN_NONE },
        { "I32", 4, CLATTN_NONE },  { "U32", 4, CLATTN_NONE },     { "I16", 2, CLATTN_NONE },
        { "U16", 2, CLATTN_NONE },  { "I8", 1, CLATTN_NONE },      { "U8", 1, CLATTN_NONE },
        { "BOOL", 1, CLATTN_NONE }, { "F8_E4M3", 1, CLATTN_NONE }, { "F8_E5M2", 1, CLATTN_NONE },
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(name, types[i].name) == 0) {
            *item_size = types[i].size;
            return types[i].dtype;
        }
    *item_size = 0;
    return CLATTN_NONE;
}

static bool read_integer(const json_t *value, json_int_t *out)
{
    if (!json_is_integer(value))
        return false;
    *out = json_integer_value(value);
    return true;
}

/* Sets t->shape; *bytes becomes item_size times the product of the lengths. */
static bool read_shape(const char *what, const json_t *shape, size_t item_size, clm_stored *t,
                       size_t *bytes, clm_fault *f)
{
    const size_t rank = json_array_size(shape);
    if (!json_is_array(shape))
        return clm_fail(f, "%s: tensor %.80s has no shape", what, t->name);
    if (rank > CLATTN_MAX_RANK)
        return clm_fail(f, "%s: tensor %.80s has %zu axes, at most %d are possible", what, t->name,
                        rank, CLATTN_MAX_RANK);
    *bytes = item_size;
    for (size_t i = 0; i < rank; i++) {
        json_int_t length;
        if (!read_integer(json_array_get(shape, i), &length) || length < 0
            || __builtin_mul_overflow(*bytes, (size_t)length, bytes))
            return clm_fail(f, "%s: axis %zu of tensor %.80s has no usable length", what, i,
                            t->name);
        t->shape[i] = length;
    }
    t->rank = (int)rank;
    return true;
}

static bool read_offsets(const char *what, const json_t *offsets, size_t data_size, clm_stored *t,
                         size_t *end, clm_fault *f)
{
    json_int_t a, b;
    if (!read_integer(json_array_get(offsets, 0), &a)
        || !read_integer(json_array_get(offsets, 1), &b) || json_array_size(offsets) != 2)
        return clm_fail(f, "%s: tensor %.80s has no pair of data_offsets", what, t->name);
    if (a < 0 || b < a || (uint64_t)b > data_size)
        return clm_fail(f, "%s: tensor %.80s lies at %lld to %lld of %zu bytes", what, t->name,
                        (long long)a, (long long)b, data_size);
    t->begin = (size_t)a;
    *end = (size_t)b;
    return true;
}

static bool read_tensor(const char *what, const char *name, const json_t *entry, const char *data,
                        size_t data_size, clm_stored *t, clm_fault *f)
{
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    size_t item_size, bytes = 0, end = 0;
    t->name = strdup(name);
    if (!t->name)
        return clm_out_of_memory(f);
    if (!type)
        return clm_fail(f, "%s: tensor %.80s has no dtype", what, name);
    t->dtype = dtype_of(type, &item_size);
    if (item_size == 0)
        return clm_fail(f, "%s: tensor %.80s has the unknown dtype %.20s", what, name, type);
    if (!read_shape(what, json_object_get(entry, "shape"), item_size, t, &bytes, f)
        || !read_offsets(what, json_object_get(entry, "data_offsets"), data_size, t, &end, f))
        return false;
    t->bytes = end - t->begin;
    if (t->bytes != bytes)
        return clm_fail(f, "%s: tensor %.80s has %zu bytes, its shape needs %zu", what, name,
                        t->bytes, bytes);
    t->data = data + t->begin;
    return true;
}

static int by_begin(const void *a, const void *b)
{
    const clm_stored *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const clm_stored *)a)->name, ((const clm_stored *)b)->name);
}

/* The tensors must cover the data, each byte once. Leaves them sorted by name. */
static bool check_cover(const char *what, clm_safetensors *s, size_t data_size, clm_fault *f)
{
    size_t at = 0;
    qsort(s->tensors, s->count, sizeof *s->tensors, by_begin);
    for (size_t i = 0; i < s->count; i++) {
        const clm_stored *t = &s->tensors[i];
        if (t->begin != at)
            return clm_fail(f,
                            "%s: tensor %.80s starts at byte %zu, not at %zu where the one "
                            "before ends",
                            what, t->name, t->begin, at);
        at += t->bytes;
    }
    qsort(s->tensors, s->count, sizeof *s->tensors, by_name);
    if (at != data_size)
        return clm_fail(f, "%s: the tensors end at byte %zu of %zu", what, at, data_size);
    return true;
}

static bool read_header(const char *what, json_t *header, const char *data, size_t data_size,
                        clm_safetensors *out, clm_fault *f)
{
    out->tensors = calloc(json_object_size(header) + 1, sizeof *out->tensors);
    if (!out->tensors)
        return clm_out_of_memory(f);
    for (void *i = json_object_iter(header); i; i = json_object_iter_next(header, i)) {
        const char *name = json_object_iter_key(i);
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (!read_tensor(what, name, json_object_iter_value(i), data, data_size,
                         &out->tensors[out->count++], f))
            return false;
    }
    return check_cover(what, out, data_size, f);
}

bool clm_safetensors_parse(const char *what, const void *bytes, size_t size, clm_safetensors *out,
                           clm_fault *f)
{
    uint64_t length = 0;
    json_t *header;
    *out = (clm_safetensors){ 0 };
    if (size < 8)
        return clm_fail(f, "%s has %zu bytes: no safetensors file", what, size);
    for (int i = 7; i >= 0; i--)
        length = length << 8 | ((const unsigned char *)bytes)[i];
    if (length > size - 8 || length > MAX_HEADER)
        return clm_fail(f, "%s: the header is said to have %llu bytes, the file has %zu", what,
                        (unsigned long long)length, size);
    const char *data = (const char *)bytes + 8 + length;
    if (!clm_parse_json(what, (const char *)bytes + 8, (size_t)length, &header, f))
        return false;
    const bool ok = read_header(what, header, data, size - 8 - (size_t)length, out, f);
    json_decref(header);
    if (!ok)
        clm_safetensors_close(out);
    return ok;
}

bool clm_safetensors_open(const char *path, clm_safetensors *out, clm_fault *f)
{
    const void *bytes;
    size_t size;
    *out = (clm_safetensors){ 0 };
    if (!clm_map(path, &bytes, &size, f))
        return false;
    const bool ok = clm_safetensors_parse(path, bytes, size, out, f);
    if (ok) {
        out->mapped = bytes;
        out->mapped_size = size;
    } else {
        clm_unmap(bytes, size);
    }
    return ok;
}

void clm_safetensors_close(clm_safetensors *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->tensors[i].name);
    free(s->tensors);
    clm_unmap(s->mapped, s->mapped_size);
    *s = (clm_safetensors){ 0 };
}

static int is_name(const void *name, const void *tensor)
{
    return strcmp(name, ((const clm_stored *)tensor)->name);
}

const clm_stored *clm_safetensors_find(const clm_safetensors *s, const char *name)
{
    return s->count ? bsearch(name, s->tensors, s->count, sizeof *s->tensors, is_name) : NULL;
}
