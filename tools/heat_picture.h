/* SPDX-License-Identifier: Apache-2.0 */
/* Attention weights as a picture. */
#ifndef HEAT_PICTURE_H
#define HEAT_PICTURE_H

#include "attention_maps.h"
#include "image.h"

/*
 * One head: rows are the tokens that look, columns those that are looked at, with labels on both
 * sides and a scale of colours. Several: small maps side by side, a line for each layer.
 */
int heat_picture(const struct attention_maps *maps, const char *title, char *const *labels,
                 struct image *out);

#endif
