/* SPDX-License-Identifier: Apache-2.0 */
/* How argmax attention splits the keys, the same for every family. */
#ifndef CLA_ARGMAX_PARTS_H
#define CLA_ARGMAX_PARTS_H

#include "problem.h"

/* Writes splits, split_keys and work_o; returns the bytes of the ranks. */
size_t cla_argmax_split(cla_attn *p, int keys);

#endif
