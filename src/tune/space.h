/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The space of a search: a few kernels, each with axes of a few choices, and which combinations are
 * legal. Nothing here knows what a kernel is, so that recorded spaces can be searched too.
 */
#ifndef CLA_SPACE_H
#define CLA_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLA_MAX_AXES = 12, CLA_MAX_VARIANTS = 16, CLA_MAX_SPACE = 1 << 24 };

/* One combination: a variant (a kernel) and the number of the choice on each of its axes. */
typedef struct cla_point {
    int variant;
    int at[CLA_MAX_AXES];
} cla_point;

typedef struct cla_variant {
    int num_axes;
    int counts[CLA_MAX_AXES]; /* choices of each axis */
    uint32_t first;           /* code of its first combination */
} cla_variant;

/* Codes number all combinations of all variants, legal or not. */
typedef struct cla_space {
    int num_variants;
    cla_variant variants[CLA_MAX_VARIANTS];
    uint32_t num_codes;
    uint32_t num_legal;
    uint32_t *legal; /* codes, ascending */
    uint8_t *bits;   /* one for each code: is it legal? */
} cla_space;

typedef bool (*cla_space_rule)(const void *user, const cla_point *point);

/*
 * Enumerates the combinations of the variants (first is filled in). False: out of memory, or more
 * than CLA_MAX_SPACE combinations. Free with cla_space_free().
 */
bool cla_space_make(cla_space *space, const cla_variant *variants, int num_variants,
                    cla_space_rule legal, const void *user);
void cla_space_free(cla_space *space);

uint32_t cla_space_code(const cla_space *space, const cla_point *point);
cla_point cla_space_point(const cla_space *space, uint32_t code);
bool cla_space_legal(const cla_space *space, uint32_t code);

/*
 * Legal codes one move away, at most max of them; returns how many. Single moves change one axis,
 * near values first; pair moves change two axes by one step each, those first of which a half would
 * be illegal, since single moves cannot get there.
 */
int cla_space_singles(const cla_space *space, uint32_t code, uint32_t *out, int max);
int cla_space_pairs(const cla_space *space, uint32_t code, uint32_t *out, int max);

#endif
