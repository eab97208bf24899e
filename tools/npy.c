/* SPDX-License-Identifier: Apache-2.0 */
/* Parser and writer of .npy headers. The header is a Python dict literal of three known keys. */
#include "npy.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "data is read and written as it lies");

struct type_info {
    const char *descr, *name;
    size_t item_size;
};

static const struct type_info types[] = {
    [NPY_F2] = { "<f2", "float16", 2 }, [NPY_F4] = { "<f4", "float32", 4 },
    [NPY_F8] = { "<f8", "float64", 8 }, [NPY_BOOL] = { "|b1", "bool", 1 },
    [NPY_U1] = { "|u1", "uint8", 1 },   [NPY_I4] = { "<i4", "int32", 4 },
    [NPY_I8] = { "<i8", "int64", 8 },
};

enum { NUM_TYPES = sizeof types / sizeof types[0] };

size_t npy_item_size(enum npy_type type)
{
    return types[type].item_size;
}

const char *npy_type_name(enum npy_type type)
{
    return types[type].name;
}

/* A position in the header text, and where the sentence about it goes. */
struct parser {
    const char *at, *end;
    char *err;
    size_t err_size;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct parser *p, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(p->err, p->err_size, fmt, args);
    va_end(args);
    return false;
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

/* Skips blanks, then takes c if it is next. */
static bool take(struct parser *p, char c)
{
    skip_blanks(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

/* A quoted string of printable ASCII without escapes, copied to out. */
static bool take_string(struct parser *p, char *out, size_t size)
{
    size_t n = 0;

    skip_blanks(p);
    if (p->at == p->end || (*p->at != '\'' && *p->at != '"'))
        return false;
    const char quote = *p->at++;
    for (; p->at < p->end && *p->at != quote; p->at++) {
        if (n + 1 == size || *p->at < ' ' || *p->at > '~' || *p->at == '\\')
            return false;
        out[n++] = *p->at;
    }
    out[n] = 0;
    return take(p, quote);
}

static bool take_word(struct parser *p, const char *word)
{
    const size_t n = strlen(word);

    skip_blanks(p);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0)
        return false;
    p->at += n;
    return true;
}

static bool take_descr(struct parser *p, struct npy *out)
{
    char descr[32];

    skip_blanks(p);
    if (p->at < p->end && *p->at == '[')
        return refuse(p, "structured dtypes are not supported");
    if (!take_string(p, descr, sizeof descr))
        return refuse(p, "the header has no readable 'descr'");
    for (int i = 0; i < NUM_TYPES; i++) {
        if (strcmp(descr + (descr[0] != 0), types[i].descr + 1) != 0)
            continue;
        if (descr[0] == '>')
            return refuse(p, "dtype '%s' is big-endian, only little-endian files are read", descr);
        if (descr[0] != '<' && descr[0] != '|' && descr[0] != '=')
            break;
        out->type = (enum npy_type)i;
        out->item_size = types[i].item_size;
        return true;
    }
    if (strchr(descr, 'O'))
        return refuse(p, "dtype '%s' holds Python objects, which are never read", descr);
    return refuse(p, "dtype '%s' is not supported", descr);
}

static bool take_order(struct parser *p)
{
    if (take_word(p, "True"))
        return refuse(p, "the array is in Fortran order; save numpy.ascontiguousarray() of it");
    if (!take_word(p, "False"))
        return refuse(p, "'fortran_order' is neither True nor False");
    return true;
}

static bool take_length(struct parser *p, int64_t *out)
{
    int64_t n = 0;

    skip_blanks(p);
    if (p->at < p->end && *p->at == '-')
        return refuse(p, "the shape has a negative length");
    if (p->at == p->end || *p->at < '0' || *p->at > '9')
        return refuse(p, "the shape is not a tuple of integers");
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
        if (n > (INT64_MAX - 9) / 10)
            return refuse(p, "the shape has a length that overflows");
        n = n * 10 + (*p->at - '0');
    }
    *out = n;
    return true;
}

static bool take_shape(struct parser *p, struct npy *out)
{
    bool comma = true;

    if (!take(p, '('))
        return refuse(p, "the shape is not a tuple of integers");
    for (out->rank = 0; !take(p, ')'); out->rank++) {
        if (!comma)
            return refuse(p, "the shape is not a tuple of integers");
        if (out->rank == NPY_MAX_RANK)
            return refuse(p, "the array has more than %d axes", NPY_MAX_RANK);
        if (!take_length(p, &out->shape[out->rank]))
            return false;
        comma = take(p, ',');
    }
    return true;
}

static bool take_dict(struct parser *p, struct npy *out)
{
    static const char *const keys[] = { "descr", "fortran_order", "shape" };
    bool seen[3] = { false };
    char key[32];

    if (!take(p, '{'))
        return refuse(p, "the header is not a dict");
    while (!take(p, '}')) {
        int k = 0;
        if (!take_string(p, key, sizeof key) || !take(p, ':'))
            return refuse(p, "the header is not a dict of descr, fortran_order and shape");
        while (k < 3 && strcmp(key, keys[k]) != 0)
            k++;
        if (k == 3 || seen[k])
            return refuse(p, "the header has %s key '%s'", k == 3 ? "an unknown" : "a second", key);
        seen[k] = true;
        if (!(k == 0 ? take_descr(p, out) : k == 1 ? take_order(p) : take_shape(p, out)))
            return false;
        skip_blanks(p);
        if (!take(p, ',') && (p->at == p->end || *p->at != '}'))
            return refuse(p, "the header is not a dict of descr, fortran_order and shape");
    }
    for (int k = 0; k < 3; k++) {
        if (!seen[k])
            return refuse(p, "the header has no '%s'", keys[k]);
    }
    skip_blanks(p);
    if (p->at != p->end)
        return refuse(p, "the header has text behind its dict");
    return true;
}

/* Elements and bytes of the shape against what the file has behind its header. */
static bool check_size(struct parser *p, uint64_t data_bytes, struct npy *out)
{
    uint64_t bytes = out->item_size;
    bool empty = false;

    for (int i = 0; i < out->rank; i++)
        empty = empty || out->shape[i] == 0;
    for (int i = 0; i < out->rank && !empty; i++) {
        if (__builtin_mul_overflow(bytes, (uint64_t)out->shape[i], &bytes) || bytes > SIZE_MAX / 2)
            return refuse(p, "the shape overflows");
    }
    if (empty)
        bytes = 0;
    if (bytes != data_bytes)
        return refuse(p, "the shape needs %" PRIu64 " bytes of data, the file has %" PRIu64 "%s",
                      bytes, data_bytes, bytes > data_bytes ? " (truncated?)" : "");
    out->count = (size_t)bytes / out->item_size;
    return true;
}

bool npy_header(const void *bytes, size_t size, uint64_t file_size, struct npy *out, char *err,
                size_t err_size)
{
    const unsigned char *b = bytes;
    struct parser p = { .err = err, .err_size = err_size };

    *out = (struct npy){ 0 };
    if (size < 10 || memcmp(b, "\x93NUMPY", 6) != 0)
        return refuse(&p, "not a .npy file");
    if (b[6] < 1 || b[6] > 3)
        return refuse(&p, ".npy version %d.%d is unknown", b[6], b[7]);
    const size_t prefix = b[6] == 1 ? 10 : 12;
    if (size < prefix)
        return refuse(&p, "the file ends inside its header");
    size_t length = (size_t)b[8] | (size_t)b[9] << 8;
    if (prefix == 12)
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > NPY_MAX_HEADER - 12)
        return refuse(&p, "the header claims %zu bytes, more than any .npy file needs", length);
    if (length > size - prefix)
        return refuse(&p, "the file ends inside its header");
    p.at = (const char *)b + prefix;
    p.end = p.at + length;
    out->data_offset = prefix + length;
    return take_dict(&p, out) && check_size(&p, file_size - out->data_offset, out);
}

bool npy_parse(const void *bytes, size_t size, struct npy *out, char *err, size_t err_size)
{
    if (!npy_header(bytes, size, size, out, err, err_size))
        return false;
    out->data = (const char *)bytes + out->data_offset;
    return true;
}

size_t npy_write_header(enum npy_type type, int rank, const int64_t *shape,
                        char out[NPY_WRITE_HEADER])
{
    int n = snprintf(out + 10, NPY_WRITE_HEADER - 10,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (", types[type].descr);

    for (int i = 0; i < rank; i++)
        n += snprintf(out + 10 + n, (size_t)(NPY_WRITE_HEADER - 10 - n), "%" PRId64 "%s", shape[i],
                      i + 1 < rank ? ", "
                      : rank == 1  ? ","
                                   : "");
    n += snprintf(out + 10 + n, (size_t)(NPY_WRITE_HEADER - 10 - n), "), }");
    const size_t total = ((size_t)n + 10 + 1 + 63) / 64 * 64;
    memset(out + 10 + n, ' ', total - 10 - (size_t)n);
    out[total - 1] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((total - 10) & 0xff);
    out[9] = (char)((total - 10) >> 8);
    return total;
}
