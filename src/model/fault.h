/* SPDX-License-Identifier: Apache-2.0 */
/* Why something about a model failed: one sentence. Functions that fill it return false. */
#ifndef CLM_FAULT_H
#define CLM_FAULT_H

#include <clattn/clattn.h>

typedef struct clm_fault {
    bool device; /* the device failed, not the caller or a file */
    char text[512];
} clm_fault;

bool clm_fail(clm_fault *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The sentence of a call on the context that returned status; true when that was CLATTN_OK. */
bool clm_check(clm_fault *f, const clattn_ctx *ctx, clattn_status status);

bool clm_out_of_memory(clm_fault *f);

#endif
