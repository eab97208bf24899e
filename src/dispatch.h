/* SPDX-License-Identifier: Apache-2.0 */
/* Problem -> kernel and configuration. */
#ifndef CLA_DISPATCH_H
#define CLA_DISPATCH_H

#include "context.h"
#include "kernel.h"

/* Where a configuration came from. */
typedef enum cla_origin {
    CLA_ORIGIN_NONE,     /* nothing to launch */
    CLA_ORIGIN_PINNED,   /* the caller named kernel and configuration */
    CLA_ORIGIN_TUNED,    /* the best that a search found for this bucket */
    CLA_ORIGIN_NEAR,     /* the same for the nearest bucket */
    CLA_ORIGIN_SHIPPED,  /* compiled in, found on a device of this kind */
    CLA_ORIGIN_ESTIMATE, /* the descriptor's guess for this device and problem */
    CLA_ORIGIN_SAFE,     /* the configuration that is legal everywhere, or the first legal one */
} cla_origin;

const char *cla_origin_name(cla_origin origin);

typedef struct cla_choice {
    const cla_kernel *kernel;
    int t[CLA_MAX_TUNABLES];
    cla_origin origin;
} cla_choice;

/* A caller's wish; zeros: none. A configuration needs a kernel. */
typedef struct cla_pin {
    const char *kernel;
    const int *t;
} cla_pin;

/* Chooses for one stage of an operation. op names it in error sentences. */
clattn_status cla_dispatch(clattn_ctx *ctx, const char *op, cla_stage stage, const void *problem,
                           const cla_pin *pin, cla_choice *out);

#endif
