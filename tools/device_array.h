/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays on a device: an operation's tensors. */
#ifndef DEVICE_ARRAY_H
#define DEVICE_ARRAY_H

#include "array.h"
#include "session.h"

/*
 * Stores an array as dtype in a new buffer, with a dense view of it; an absent array gives an
 * absent tensor. name: for messages.
 */
int device_upload(struct session *s, const char *name, const struct array *a, clattn_dtype dtype,
                  clattn_buffer **buffer, clattn_tensor *tensor);

/* The same for bytes as they are stored. */
int device_upload_bytes(struct session *s, const void *data, size_t bytes, clattn_buffer **buffer);

/* Memory for a result of this shape, full of NaN: an element that is never written cannot pass. */
int device_output(struct session *s, const struct array *a, clattn_dtype dtype,
                  clattn_buffer **buffer, clattn_tensor *tensor);

/* Reads a result back as f32. */
int device_download(struct session *s, clattn_buffer *buffer, clattn_dtype dtype,
                    struct array *out);

#endif
