/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory, beside what clattn.h offers. */
#ifndef CLA_BUFFER_H
#define CLA_BUFFER_H

#include "context.h"

/* As clattn_buffer_write(), but src may be changed at once and nothing is waited for. */
clattn_status cla_buffer_write_later(clattn_buffer *buffer, size_t offset, const void *src,
                                     size_t bytes);

/* clattn_buffer_create(), and zeros in it before all work queued later. */
clattn_status cla_buffer_create_zeroed(clattn_ctx *ctx, size_t bytes, clattn_buffer **out);

/* Between ranges that lie inside their buffers and do not overlap, after all work queued before. */
clattn_status cla_buffer_copy(const clattn_buffer *src, size_t from, const clattn_buffer *dst,
                              size_t to, size_t bytes);

#endif
