/* SPDX-License-Identifier: Apache-2.0 */
/* Reads case.json with jansson and version 1 .npy files of f4, u1 and i4. */
#define _XOPEN_SOURCE 700
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "suite.h"

static const char *golden_dir(void)
{
    const char *dir = getenv("CLATTN_GOLDEN_DIR");
    if (!dir)
        suite_bail_out("CLATTN_GOLDEN_DIR", "not set");
    return dir;
}

static json_t *load_json(const char *path)
{
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);
    if (!json)
        suite_bail_out(path, error.text);
    return json;
}

/* Is op one of "a|b|c"? */
static bool is_among(const char *op, const char *ops)
{
    const size_t length = strlen(op);

    for (const char *at = ops; (at = strstr(at, op)) != NULL; at++)
        if ((at == ops || at[-1] == '|') && (at[length] == '|' || !at[length]))
            return true;
    return false;
}

void golden_find(golden_names *out, const char *ops)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/index.json", golden_dir());
    json_t *index = load_json(path);

    out->count = 0;
    for (size_t i = 0; i < json_array_size(index); i++) {
        golden_case c;
        golden_open(&c, json_string_value(json_array_get(index, i)));
        if (is_among(golden_op(&c), ops)) {
            if (out->count == MAX_GOLDEN)
                suite_bail_out(path, "too many cases of one operation");
            snprintf(out->name[out->count++], sizeof out->name[0], "%s", c.name);
        }
        golden_close(&c);
    }
    json_decref(index);
    if (out->count == 0)
        suite_bail_out(path, "no case of an operation");
}

void golden_open(golden_case *c, const char *name)
{
    char path[sizeof c->path + 16];

    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->path, sizeof c->path, "%s/%s", golden_dir(), name);
    snprintf(path, sizeof path, "%s/case.json", c->path);
    c->json = load_json(path);
}

void golden_close(golden_case *c)
{
    json_decref(c->json);
    c->json = NULL;
}

const char *golden_op(const golden_case *c)
{
    return json_string_value(json_object_get(c->json, "op"));
}

bool golden_has(const golden_case *c, const char *tensor)
{
    return json_object_get(json_object_get(c->json, "files"), tensor) != NULL;
}

json_t *golden_param(const golden_case *c, const char *name)
{
    return json_object_get(json_object_get(c->json, "params"), name);
}

enum { MAX_HEADER = 1024 };

/* The header of a .npy: leaves the file at the data, returns the dtype. */
static clattn_dtype read_header(FILE *f, const char *path, char header[MAX_HEADER])
{
    unsigned char start[10];

    if (fread(start, 1, sizeof start, f) != sizeof start || memcmp(start, "\x93NUMPY\x01", 7))
        suite_bail_out(path, "not a version 1 .npy file");
    const size_t length = (size_t)start[8] | (size_t)start[9] << 8;
    if (length >= MAX_HEADER || fread(header, 1, length, f) != length)
        suite_bail_out(path, "bad header length");
    header[length] = '\0';
    if (strstr(header, "'fortran_order': True"))
        suite_bail_out(path, "column-major");
    if (strstr(header, "'<f4'"))
        return CLATTN_F32;
    if (strstr(header, "'|u1'"))
        return CLATTN_U8;
    if (strstr(header, "'<i4'"))
        return CLATTN_I32;
    suite_bail_out(path, "dtype is none of <f4, |u1, <i4");
}

/* The shape of a header: numbers in brackets. */
static void read_shape(const char *header, const char *path, golden_array *a)
{
    char *at = strstr(header, "'shape': (");
    if (!at)
        suite_bail_out(path, "no shape");
    at = strchr(at, '(') + 1;
    for (a->count = 1; *at && *at != ')'; at += strspn(at, ", ")) {
        if (a->rank == CLATTN_MAX_RANK)
            suite_bail_out(path, "too many axes");
        a->shape[a->rank] = strtoll(at, &at, 10);
        a->count *= (size_t)a->shape[a->rank++];
    }
}

/* Fills a->values; a shape that is not known yet is taken from the file. */
static void read_values(const char *path, golden_array *a)
{
    char header[MAX_HEADER];
    FILE *f = fopen(path, "rb");
    if (!f)
        suite_bail_out(path, "cannot be opened");
    const clattn_dtype dtype = read_header(f, path, header);
    if (a->count == 0)
        read_shape(header, path, a);
    a->values = memory_alloc(a->count * sizeof *a->values);
    void *stored = memory_alloc(a->count * clattn_dtype_size(dtype));
    if (fread(stored, clattn_dtype_size(dtype), a->count, f) != a->count)
        suite_bail_out(path, "too short");
    fclose(f);
    for (size_t i = 0; i < a->count; i++) {
        if (dtype == CLATTN_F32)
            a->values[i] = ((float *)stored)[i];
        else if (dtype == CLATTN_U8)
            a->values[i] = ((unsigned char *)stored)[i];
        else
            a->values[i] = (float)((int32_t *)stored)[i];
    }
    free(stored);
}

golden_array golden_load(const golden_case *c, const char *tensor)
{
    golden_array a = { .count = 1 };
    char path[sizeof c->path + 64];
    json_t *shape = json_object_get(json_object_get(json_object_get(c->json, "files"), tensor),
                                    "shape");

    if (!shape)
        return (golden_array){ 0 };
    a.rank = (int)json_array_size(shape);
    for (int i = 0; i < a.rank; i++) {
        a.shape[i] = json_integer_value(json_array_get(shape, (size_t)i));
        a.count *= (size_t)a.shape[i];
    }
    snprintf(path, sizeof path, "%s/%s.npy", c->path, tensor);
    read_values(path, &a);
    return a;
}

golden_array golden_read(const char *path)
{
    golden_array a = { 0 };

    read_values(path, &a);
    return a;
}
