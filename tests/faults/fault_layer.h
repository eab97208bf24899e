/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer between the ICD loader and the drivers (OPENCL_LAYERS) that makes calls fail and counts
 * the objects that are alive. A test in the same process finds the state with
 * dlsym(layer, FAULT_LAYER_STATE); another process is told by the environment:
 *
 *     FAULT_CALL     entry point that may fail; default: any
 *     FAULT_AT       its call of this number fails, from 1; default: none
 *     FAULT_STICKY   1: the calls after it fail too
 *     FAULT_CODE     with this code; default: CL_OUT_OF_RESOURCES
 *     FAULT_REPORT   file for "CALLS FIRED NAME" and the living objects of each kind, at exit
 *
 * Entry points that only release or retain never fail: a driver that refuses to release leaks.
 */
#ifndef FAULT_LAYER_H
#define FAULT_LAYER_H

#include <stdatomic.h>
#include <stdbool.h>

#define FAULT_LAYER_STATE "fault_layer_state"

enum {
    FAULT_CONTEXT,
    FAULT_QUEUE,
    FAULT_PROGRAM,
    FAULT_KERNEL,
    FAULT_MEM,
    FAULT_EVENT,
    FAULT_KINDS
};

enum { FAULT_NAMES = 8 };

typedef struct fault_layer {
    const char *only; /* NULL: any entry point */
    long at;          /* 0: none */
    bool sticky;
    int code;
    atomic_long calls, fired;
    const char *hit[FAULT_NAMES];  /* the first entry points that failed, each once; NULL ends */
    atomic_long live[FAULT_KINDS]; /* references */
} fault_layer;

#endif
