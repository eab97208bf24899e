/* SPDX-License-Identifier: Apache-2.0 */
/* Attention weights as one HTML page that needs nothing else. */
#ifndef HEAT_PAGE_H
#define HEAT_PAGE_H

#include "attention_maps.h"

/* A model on the page; its maps are of all its layers and heads. */
struct heat_model {
    const char *name;
    const struct attention_maps *maps;
};

/* Do so many weights fit on a page? Returns EXIT_OK or fail(). */
int heat_page_check(size_t weights);

/* layer and head are shown large at first. *out: the page, to be freed. */
int heat_page(const struct heat_model *models, int count, const char *text, char *const *labels,
              int layer, int head, char **out, size_t *size);

#endif
