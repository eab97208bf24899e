/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the parts of a forward pass: session.c, attend.c and forward.c. */
#ifndef CLM_PASS_H
#define CLM_PASS_H

#include "forward.h"

bool clm_buffer(clm_session *s, size_t rows, size_t width, size_t item, clattn_buffer **out,
                clm_fault *f);

double clm_now_us(void);

/* What an operation that began then has come to; whoever watches the session is told. */
bool clm_done(clm_session *s, const char *name, int layer, double begin, clattn_status status,
              clm_fault *f);

/* f32 [B][N][width] */
clattn_tensor clm_rows(clattn_buffer *buffer, int B, int N, int width);

/* The cache of a layer, cut to what the session has read. */
bool clm_cache(clm_session *s, int layer, clattn_kv **out, clm_fault *f);

/* Attention of a layer to x, into s->o. */
bool clm_attend(clm_session *s, int layer, clattn_tensor x, const clm_capture *capture,
                clm_fault *f);

/* Writes the keys that a capture asks for. */
bool clm_capture_begin(clm_session *s, const clm_capture *want, clm_fault *f);

#endif
