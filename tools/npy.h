/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The .npy format, versions 1 to 3: parsing of bytes that nobody has to trust, and the header of
 * files to be written. No I/O here.
 */
#ifndef NPY_H
#define NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NPY_MAX_RANK = 8,
    NPY_MAX_HEADER = 12 + 65535, /* longest prefix of a file that npy_header() looks at */
};

enum npy_type { NPY_F2, NPY_F4, NPY_F8, NPY_BOOL, NPY_U1, NPY_I4, NPY_I8 };

struct npy {
    enum npy_type type;
    int rank;
    int64_t shape[NPY_MAX_RANK];
    size_t count;       /* elements */
    size_t item_size;   /* bytes of one */
    size_t data_offset; /* bytes in front of the data */
    const void *data;   /* into the bytes parsed; not aligned; NULL from npy_header() */
};

/*
 * Parses the start of a file of file_size bytes, of which the first size are here: all of them, or
 * NPY_MAX_HEADER. On false, err holds a sentence. On true the file is exactly as long as its shape
 * says, so count * item_size can neither overflow nor exceed file_size.
 */
bool npy_header(const void *bytes, size_t size, uint64_t file_size, struct npy *out, char *err,
                size_t err_size);

/* The same for a whole file in memory; sets out->data. Never reads outside bytes[0 .. size - 1]. */
bool npy_parse(const void *bytes, size_t size, struct npy *out, char *err, size_t err_size);

/* Bytes of one element; the numpy name ("float32"). */
size_t npy_item_size(enum npy_type type);
const char *npy_type_name(enum npy_type type);

/* Writes a version 1 header; returns its length, a multiple of 64. Rank is at most NPY_MAX_RANK. */
enum { NPY_WRITE_HEADER = 320 };
size_t npy_write_header(enum npy_type type, int rank, const int64_t *shape,
                        char out[NPY_WRITE_HEADER]);

#endif
