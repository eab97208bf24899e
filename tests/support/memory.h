/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory under a tensor: margins and gaps around its elements are poisoned and watched, whatever
 * the layout, on the host or on a device.
 */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include <clattn/clattn.h>

typedef struct test_memory {
    clattn_tensor tensor; /* the view to hand to clattn */
    unsigned char *bytes; /* what was put into the whole allocation */
    void *host;           /* the allocation when it is host memory */
    size_t size;
    bool written; /* an output */
} test_memory;

/* How the elements of a tensor lie in memory. */
typedef struct test_layout {
    int order[CLATTN_MAX_RANK]; /* axes, outermost first; all 0: as in the shape */
    int row_pad;                /* elements after each run of the innermost axis */
    int offset;                 /* elements before the first */
} test_layout;

/* Zeroed memory; ends the program when there is none. */
void *memory_alloc(size_t size);

/*
 * Allocates for shape; NaN in every element of an output, poison everywhere else. With ctx NULL
 * the tensor is host memory. Freed by memory_free().
 */
void memory_make(test_memory *m, clattn_ctx *ctx, bool written, clattn_dtype dtype, int rank,
                 const int64_t *shape, const test_layout *layout);
void memory_free(test_memory *m);

/* Stores dense values (row-major over the shape), rounded to the dtype, and uploads them. */
void memory_put(test_memory *m, const float *dense);
void memory_put_bytes(test_memory *m, const void *dense); /* the same for elements as stored */

/* Makes every element of an output NaN again. */
void memory_poison(test_memory *m);

/*
 * Reads the memory back: the dense values (dense may be NULL). The running test fails when
 * anything but the elements of an output has changed.
 */
void memory_get(test_memory *m, const char *name, float *dense);
void memory_get_bytes(test_memory *m, const char *name, void *dense); /* elements as stored */

/* The same for an input, without its values; none that was not made. */
void memory_unchanged(test_memory *m, const char *name);

#endif
