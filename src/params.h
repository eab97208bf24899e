/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the caller's versioned options structs. */
#ifndef CLA_PARAMS_H
#define CLA_PARAMS_H

#include "status.h"

/*
 * Copies the caller's struct of struct_size bytes into dst of size bytes. A shorter (older) one
 * leaves zeros, which mean "default". A longer (newer) one is accepted only if what this library
 * does not know is zero. src is not NULL.
 */
clattn_status cla_params_read(clattn_ctx *ctx, const char *op, void *dst, size_t size,
                              const void *src);

#endif
