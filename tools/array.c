/* SPDX-License-Identifier: Apache-2.0 */
/* Host tensors: files in, conversion to and from storage dtypes. */
#include "array.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "npy.h"

const char *shape_text(int rank, const int64_t *shape)
{
    static char texts[4][160];
    static int turn;
    char *text = texts[turn = (turn + 1) % 4];
    int n = 0;

    strcpy(text, "[]");
    for (int i = 0; i < rank; i++)
        n += snprintf(text + n, sizeof texts[0] - (size_t)n, "[%" PRId64 "]", shape[i]);
    return text;
}

int array_new(struct array *out, clattn_dtype dtype, int rank, const int64_t *shape)
{
    size_t count = 1;
    bool overflow = false, empty = false;

    *out = (struct array){ .dtype = dtype, .rank = rank };
    for (int i = 0; i < rank; i++) {
        out->shape[i] = shape[i];
        empty = empty || shape[i] == 0;
        if (shape[i] < 0 || __builtin_mul_overflow(count, (size_t)shape[i], &count))
            overflow = true;
    }
    if (empty)
        count = 0;
    if (!empty && (overflow || count > PTRDIFF_MAX / sizeof(float)))
        return fail(EXIT_INPUT, "a tensor of shape %s is larger than memory can be",
                    shape_text(rank, shape));
    out->data = calloc(count ? count : 1, clattn_dtype_size(dtype));
    if (!out->data)
        return fail(EXIT_INPUT, "out of memory for a tensor of shape %s", shape_text(rank, shape));
    out->count = count;
    return EXIT_OK;
}

void array_free(struct array *a)
{
    free(a->data);
    *a = (struct array){ 0 };
}

void array_raise(struct array *a, int rank)
{
    const int add = rank - a->rank;

    if (add <= 0)
        return;
    memmove(a->shape + add, a->shape, sizeof a->shape[0] * (size_t)a->rank);
    for (int i = 0; i < add; i++)
        a->shape[i] = 1;
    a->rank = rank;
}

void array_lower(struct array *a, int axes)
{
    a->rank -= axes;
    memmove(a->shape, a->shape + axes, sizeof a->shape[0] * (size_t)a->rank);
}

bool array_same_shape(const struct array *a, const struct array *b)
{
    return a->rank == b->rank
           && memcmp(a->shape, b->shape, sizeof a->shape[0] * (size_t)a->rank) == 0;
}

void array_random(struct array *a, float amplitude, uint64_t seed)
{
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u;

    for (size_t i = 0; i < a->count; i++) {
        state ^= state << 13; /* xorshift64: Marsaglia 2003 */
        state ^= state >> 7;
        state ^= state << 17;
        if (a->dtype == CLATTN_U8)
            ((uint8_t *)a->data)[i] = (uint8_t)(state >> 63);
        else
            ((float *)a->data)[i] = amplitude * ((float)(state >> 40) * 0x1p-23f - 1.0f);
    }
}

int array_new_random(struct array *out, clattn_dtype dtype, int rank, const int64_t *shape,
                     float amplitude, uint64_t seed)
{
    const int code = array_new(out, dtype, rank, shape);

    if (code == EXIT_OK)
        array_random(out, amplitude, seed);
    return code;
}

/* ------------------------------------------------------------------------------------------ */
/* Storage dtypes                                                                             */

size_t array_store(const struct array *a, clattn_dtype dtype, void *out)
{
    enum { CHUNK = 4096 };
    const float *x = a->data;
    const size_t size = clattn_dtype_size(dtype);
    size_t lost = 0;

    if (a->dtype != CLATTN_F32 || dtype == CLATTN_F32) {
        memcpy(out, a->data, a->count * clattn_dtype_size(a->dtype));
        return 0;
    }
    for (size_t i = 0; i < a->count; i += CHUNK) {
        float back[CHUNK];
        const size_t n = a->count - i < CHUNK ? a->count - i : CHUNK;
        clattn_from_f32(dtype, x + i, (char *)out + i * size, n);
        clattn_to_f32(dtype, (char *)out + i * size, back, n);
        for (size_t j = 0; j < n; j++)
            lost += isinf(back[j]) && !isinf(x[i + j]);
    }
    return lost;
}

int array_round(const struct array *a, clattn_dtype dtype, struct array *out, bool *exact)
{
    int code = array_new(out, a->dtype, a->rank, a->shape);

    if (code != EXIT_OK)
        return code;
    if (a->dtype != CLATTN_F32 || dtype == CLATTN_F32) {
        memcpy(out->data, a->data, a->count * clattn_dtype_size(a->dtype));
        return EXIT_OK;
    }
    void *stored = malloc(a->count ? a->count * clattn_dtype_size(dtype) : 1);
    if (!stored)
        return fail(EXIT_INPUT, "out of memory");
    array_store(a, dtype, stored);
    clattn_to_f32(dtype, stored, out->data, a->count);
    free(stored);
    for (size_t i = 0; i < a->count; i++) {
        const float x = ((const float *)a->data)[i], y = ((const float *)out->data)[i];
        if (x != y && !(isnan(x) && isnan(y)))
            *exact = false;
    }
    return EXIT_OK;
}

/* ------------------------------------------------------------------------------------------ */
/* Files                                                                                      */

/* Reads exactly size bytes at an offset. */
static int read_at(int fd, const char *path, void *out, size_t size, size_t offset)
{
    size_t done = 0;

    while (done < size) {
        const ssize_t n = pread(fd, (char *)out + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(EXIT_INPUT, "cannot read %s: %s", path, strerror(errno));
        if (n == 0)
            return fail(EXIT_INPUT, "%s: the file became shorter while it was read", path);
        done += (size_t)n;
    }
    return EXIT_OK;
}

static int read_header(int fd, const char *path, struct npy *npy)
{
    struct stat st;
    char err[200];

    if (fstat(fd, &st) != 0)
        return fail(EXIT_INPUT, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fail(EXIT_INPUT, "%s is not a regular file", path);
    const uint64_t file_size = (uint64_t)st.st_size;
    const size_t size = file_size < NPY_MAX_HEADER ? (size_t)file_size : NPY_MAX_HEADER;
    char *head = malloc(size ? size : 1);
    if (!head)
        return fail(EXIT_INPUT, "out of memory");
    int code = read_at(fd, path, head, size, 0);
    if (code == EXIT_OK && !npy_header(head, size, file_size, npy, err, sizeof err))
        code = fail(EXIT_INPUT, "%s: %s", path, err);
    free(head);
    return code;
}

static bool type_fits(enum npy_type type, clattn_dtype want)
{
    switch (type) {
    case NPY_F2:
    case NPY_F4:
    case NPY_F8:
        return want == CLATTN_F32;
    case NPY_BOOL:
    case NPY_U1:
        return want == CLATTN_U8;
    case NPY_I4:
    case NPY_I8:
        return want == CLATTN_I32;
    }
    return false;
}

/* Element i of a file as a double; exact for every type but large int64. */
static double element(enum npy_type type, const void *raw, size_t i)
{
    float f;

    switch (type) {
    case NPY_F2:
        clattn_to_f32(CLATTN_F16, (const uint16_t *)raw + i, &f, 1);
        return (double)f;
    case NPY_F4:
        return (double)((const float *)raw)[i];
    case NPY_F8:
        return ((const double *)raw)[i];
    case NPY_BOOL:
    case NPY_U1:
        return ((const uint8_t *)raw)[i];
    case NPY_I4:
        return ((const int32_t *)raw)[i];
    case NPY_I8:
        return (double)((const int64_t *)raw)[i];
    }
    return 0;
}

static int convert(const char *path, const struct npy *npy, const void *raw, struct array *out)
{
    for (size_t i = 0; i < out->count; i++) {
        const double x = element(npy->type, raw, i);
        if (out->dtype == CLATTN_F32) {
            ((float *)out->data)[i] = (float)x;
        } else if (out->dtype == CLATTN_U8) {
            ((uint8_t *)out->data)[i] = x != 0;
        } else {
            if (x < INT32_MIN || x > INT32_MAX)
                return fail(EXIT_INPUT, "%s: element %zu is %.0f, which does not fit 32 bits", path,
                            i, x);
            ((int32_t *)out->data)[i] = (int32_t)x;
        }
    }
    return EXIT_OK;
}

static int read_data(int fd, const char *path, const struct npy *npy, struct array *out)
{
    const size_t bytes = npy->count * npy->item_size;

    if (npy->type == NPY_F4 || npy->type == NPY_I4)
        return read_at(fd, path, out->data, bytes, npy->data_offset);
    void *raw = malloc(bytes ? bytes : 1);
    if (!raw)
        return fail(EXIT_INPUT, "%s: out of memory for %zu bytes", path, bytes);
    int code = read_at(fd, path, raw, bytes, npy->data_offset);
    if (code == EXIT_OK)
        code = convert(path, npy, raw, out);
    free(raw);
    return code;
}

int array_load(struct array *out, const char *path, clattn_dtype want)
{
    struct npy npy;
    int code;

    *out = (struct array){ 0 };
    /* A FIFO must not block the open; it is refused by its type. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail(EXIT_INPUT, "cannot open %s: %s", path, strerror(errno));
    code = read_header(fd, path, &npy);
    if (code == EXIT_OK && !type_fits(npy.type, want))
        code = fail(EXIT_INPUT, "%s holds %s, need %s", path, npy_type_name(npy.type),
                    want == CLATTN_F32  ? "float32, float16 or float64"
                    : want == CLATTN_U8 ? "bool or uint8"
                                        : "int32 or int64");
    if (code == EXIT_OK && npy.rank > CLATTN_MAX_RANK)
        code = fail(EXIT_INPUT, "%s has %d axes, at most %d make sense here", path, npy.rank,
                    CLATTN_MAX_RANK);
    if (code == EXIT_OK)
        code = array_new(out, want, npy.rank, npy.shape);
    if (code == EXIT_OK)
        code = read_data(fd, path, &npy, out);
    close(fd);
    if (code != EXIT_OK)
        array_free(out);
    return code;
}
