/* SPDX-License-Identifier: Apache-2.0 */
/* Dense tensors in host memory: f32, u8 or i32, whatever the file held. */
#ifndef ARRAY_H
#define ARRAY_H

#include <clattn/clattn.h>

struct array {
    clattn_dtype dtype; /* CLATTN_F32, _U8 or _I32; CLATTN_NONE: absent */
    int rank;
    int64_t shape[CLATTN_MAX_RANK];
    size_t count;
    void *data; /* owned, see array_free() */
};

/* Zeroed memory. Returns EXIT_OK or fail(). */
int array_new(struct array *out, clattn_dtype dtype, int rank, const int64_t *shape);

/*
 * Reads a .npy file: float16, float32 and float64 become f32; bool and uint8 become u8, 0 or 1;
 * int32 and int64 become i32. Anything else, and any damage, is refused with a sentence.
 */
int array_load(struct array *out, const char *path, clattn_dtype want);

/* Uniform in [-amplitude, amplitude); u8: 0 or 1. The same for the same seed. */
void array_random(struct array *a, float amplitude, uint64_t seed);

int array_new_random(struct array *out, clattn_dtype dtype, int rank, const int64_t *shape,
                     float amplitude, uint64_t seed);

/* Takes zeroed and freed arrays; zeroes. */
void array_free(struct array *a);

/* Adds leading axes of length 1 up to this rank. */
void array_raise(struct array *a, int rank);

/* Takes off as many leading axes, of length 1. */
void array_lower(struct array *a, int axes);

bool array_same_shape(const struct array *a, const struct array *b);

/* Converts f32 to a storage dtype, other dtypes are copied; out has room for count elements.
 * Returns how many finite values became infinite. */
size_t array_store(const struct array *a, clattn_dtype dtype, void *out);

/* A copy of an f32 array as a storage dtype holds it; *exact becomes false if a value changed. */
int array_round(const struct array *a, clattn_dtype dtype, struct array *out, bool *exact);

/* "[2][8][33][64]", "[]" for rank 0; in one of four static buffers. */
const char *shape_text(int rank, const int64_t *shape);

#endif
